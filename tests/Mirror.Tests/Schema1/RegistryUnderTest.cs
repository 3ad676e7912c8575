using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Schema1;

/// <summary>One of the two registries that are compared, as a client sees it.</summary>
internal sealed record RegistryUnderTest(Uri Url)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async Task<Digest> PushBlobAsync(string name, byte[] blob)
    {
        using var begun = await Http.Client.PostAsync(new Uri(Url, $"/v2/{name}/blobs/uploads/"), null, Cancel);
        var digest = Digest.Of(blob);
        var address = new Uri(Url, begun.Headers.Location!).ToString();
        using var put = await Http.Client.PutAsync(
            new Uri($"{address}{(address.Contains('?') ? '&' : '?')}digest={digest}"), new ByteArrayContent(blob), Cancel);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        return digest;
    }

    /// <summary>The code where the registry ended the connection without an answer.</summary>
    public const string Cut = "CUT";

    /// <summary>The status of a push, and the code of its first error.</summary>
    public async Task<(HttpStatusCode Status, string Code, string Detail)> PushAsync(
        string name, string reference, byte[] manifest, string? type = SignedText.SignedType)
    {
        using var content = new ByteArrayContent(manifest);
        if (type is not null)
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        HttpResponseMessage answer;
        try
        {
            answer = await Http.Client.PutAsync(new Uri(Url, $"/v2/{name}/manifests/{reference}"), content, Cancel);
        }
        catch (HttpRequestException)
        {
            return (default, Cut, "");
        }
        using var _ = answer;
        var body = await answer.Content.ReadAsStringAsync(Cancel);
        if (answer.IsSuccessStatusCode || body is not ['{', ..])
            return (answer.StatusCode, "", "");
        using var json = JsonDocument.Parse(body);
        return (answer.StatusCode, json.RootElement.GetProperty("errors")[0].GetProperty("code").GetString()!, body);
    }

    public async Task<(HttpStatusCode Status, string Type, string Digest, byte[] Body)> GetAsync(
        string name, string reference, string? accept = null, bool head = false)
    {
        using var request = new HttpRequestMessage(
            head ? HttpMethod.Head : HttpMethod.Get, new Uri(Url, $"/v2/{name}/manifests/{reference}"));
        if (accept is not null)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        using var answer = await Http.Client.SendAsync(request, Cancel);
        return (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType ?? "",
            answer.Headers.TryGetValues("Docker-Content-Digest", out var digest) ? digest.Single() : "",
            await answer.Content.ReadAsByteArrayAsync(Cancel));
    }
}
