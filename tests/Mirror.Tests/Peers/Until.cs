
namespace Mirror.Tests.Peers;

/// <summary>
/// Waits for something that only another process knows, by asking it again until it is so. The limit is there to end a test that would
/// hang, and is no statement about speed.
/// </summary>
internal static class Until
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    internal static async Task TrueAsync(Func<Task<bool>> isSo, Func<string> otherwise, TimeSpan? most = null)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Xunit.TestContext.Current.CancellationToken);
        limit.CancelAfter(most ?? Limit);
        try
        {
            while (!await isSo())
                await Task.Delay(TimeSpan.FromMilliseconds(20), limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new TimeoutException(otherwise());
        }
    }

    internal static Task TrueAsync(Func<bool> isSo, Func<string> otherwise) => TrueAsync(() => Task.FromResult(isSo()), otherwise);
}
