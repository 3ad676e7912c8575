using System.Reflection;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The store that hides damaged content closes what it opens.</summary>
public sealed class CheckedContentTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Content_is_closed_if_its_check_fails(bool isCancelled)
    {
        List<EmptyContent> opened = [];
        using var sizes = new ExpectedSizes();
        using var store = new CheckedContentStore(
            FailingStore.Of(opened, isCancelled ? new OperationCanceledException() : new IOException("The disk is broken.")), sizes,
            NullLogger<CheckedContentStore>.Instance);
        await Assert.ThrowsAnyAsync<Exception>(async () => await store.OpenAsync(Digest.Of("x"u8), Cancel));
        Assert.NotEmpty(opened);
        Assert.All(opened, content => Assert.True(content.IsClosed));
    }

    private sealed class EmptyContent : Content
    {
        public bool IsClosed { get; private set; }

        public override long? Length => 0;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => new(0);

        public override ValueTask DisposeAsync()
        {
            IsClosed = true;
            return base.DisposeAsync();
        }
    }

    /// <summary>A store whose content is empty, so that it is hashed, and that then fails.</summary>
#pragma warning disable CA1852 // The proxy is a subtype that is made while the test runs.
    private class FailingStore : DispatchProxy
#pragma warning restore CA1852
    {
        private List<EmptyContent> _opened = null!;
        private Exception _failure = null!;

        public static IContentStore Of(List<EmptyContent> opened, Exception failure)
        {
            var store = Create<IContentStore, FailingStore>();
            (((FailingStore)(object)store)._opened, ((FailingStore)(object)store)._failure) = (opened, failure);
            return store;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            // For the client, what the store itself has, and for the hash.
            if (_opened.Count == 2)
                throw _failure;
            _opened.Add(new EmptyContent());
            return new ValueTask<Content?>(_opened[^1]);
        }
    }
}
