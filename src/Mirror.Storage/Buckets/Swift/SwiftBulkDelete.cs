using System.Text;
using System.Text.Json;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Deletes many objects: in one call where the server offers that, otherwise one by one.</summary>
internal sealed class SwiftBulkDelete(SwiftClient client, OpenStackCalls calls, string container)
{
    private const int MostAtOnce = 1000;

    // Null: not asked yet. 0: the server does not offer it.
    private int? _limit;

    /// <param name="names">The whole names in the container. Those that do not exist are passed over.</param>
    public async ValueTask DeleteAsync(IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        if (names.Count == 0)
            return;
        var limit = _limit ??= await calls.InvokeAsync(calls.SmallLimit, AskAsync, cancellationToken);
        if (limit == 0 || names.Count == 1)
        {
            foreach (var name in names)
                await calls.GetOrNullAsync(stop => client.DeleteAsync(Escape(name), stop), cancellationToken);
            return;
        }
        foreach (var batch in names.Chunk(limit))
        {
            var body = string.Join('\n', batch.Select(Escape));
            var failed = await calls.InvokeAsync(BucketCalls.CompletionLimit, async stop =>
            {
                using var answer = await client.DocumentAsync(
                    HttpMethod.Post, "?bulk-delete=1", post =>
                    {
                        post.Headers.TryAddWithoutValidation("Accept", "application/json");
                        post.Content = new StringContent(body, Encoding.UTF8, "text/plain");
                    }, stop);
                // The status of the answer is 200 in any case. What another request has written since the deletion began stays.
                return answer?.RootElement.GetProperty("Errors").EnumerateArray()
                    .FirstOrDefault(error => !IsNewer(error)) is { ValueKind: not 0 } error ? error.ToString() : null;
            }, cancellationToken);
            if (failed is not null)
                throw new StoreUnavailableException($"{calls.Name} did not delete all of {batch.Length} objects: {failed}");
        }
    }

    // An error is a pair: the name and the status.
    private static bool IsNewer(JsonElement error) => error[1].GetString()?.StartsWith("409", StringComparison.Ordinal) == true;

    private async Task<int> AskAsync(CancellationToken cancellationToken)
    {
        using var info = await client.InfoAsync(cancellationToken);
        return info is not null && info.RootElement.TryGetProperty("bulk_delete", out var offered)
            ? Math.Clamp(
                offered.TryGetProperty("max_deletes_per_request", out var most) && most.TryGetInt32(out var number) ? number : MostAtOnce,
                1, MostAtOnce)
            : 0;
    }

    private string Escape(string name) =>
        $"/{Uri.EscapeDataString(container)}/{string.Join('/', name.Split('/').Select(Uri.EscapeDataString))}";
}
