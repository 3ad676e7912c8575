using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>A mount without <c>from</c>, for which the server looks into all repositories.</summary>
public sealed class MountSearchTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_search_that_takes_long_ends_and_the_client_sends_the_blob()
    {
        var time = new FakeTimeProvider();
        var references = SlowStore.Of<IReferenceStore>();
        var options = new MirrorOptions();
        var repositories = new RepositoryResolver(new HostedNames(options), null!, null!);
        using var walks = new RepositoryWalks();
        var mounts = new Mounts(
            repositories, SlowStore.Of<IContentStore>(), references, null!,
            new PrivateReads(repositories, null!, null!, options.Proxy), walks, time);
        var request = new RegistryRequest(
            new DefaultHttpContext(), RegistryRoute.Of("/v2/a/b/blobs/uploads/"), isFromReplica: false);

        var search = mounts.IsAllowedAsync(request, Digest.Of([1])).AsTask();
        await ((SlowStore)(object)references).IsAsked.Task.WaitAsync(Cancel);
        Assert.False(search.IsCompleted);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(await search.WaitAsync(Cancel));
        // The next walk gets its turn.
        (await walks.EnterAsync(Cancel)).Dispose();
    }

    /// <summary>A store that has everything, but does not answer whether a repository has a blob.</summary>
    public class SlowStore : DispatchProxy
    {
        public TaskCompletionSource IsAsked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public static T Of<T>() where T : class => Create<T, SlowStore>();

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => targetMethod?.Name switch
        {
            nameof(IContentStore.SizeAsync) => new ValueTask<long?>(1),
            nameof(IReferenceStore.ListRepositoriesAfterAsync) => new[] { RepositoryName.Parse("a/c") }.ToAsyncEnumerable(),
            nameof(IReferenceStore.HasBlobAsync) => new ValueTask<bool>(NeverAsync((CancellationToken)args![2]!)),
            var other => throw new NotSupportedException(other),
        };

        private async Task<bool> NeverAsync(CancellationToken cancellationToken)
        {
            IsAsked.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
            return true;
        }
    }
}
