using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Maintenance;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>What <c>verify --repair</c> deletes, and what it must leave.</summary>
public sealed class VerifyRepairTests : IAsyncLifetime
{
    private static readonly byte[] Bytes = UploadTests.Bytes(1000);
    private static readonly Digest Pushed = Digest.Of(Bytes);

    private readonly TempFolder _folder = new();
    private readonly MirrorOptions _options = new();
    private readonly StringWriter _output = new();
    private ServiceProvider _stores = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private IContentStore Content => _stores.GetRequiredKeyedService<IContentStore>("unchecked");

    private string File => Path.Combine(_folder.Path, RegistryLayout.BlobData(Pushed));

    public async ValueTask InitializeAsync()
    {
        _options.Storage.Filesystem.RootDirectory = _folder.Path;
        _stores = _options.Storage.Open();
        await Content.PutAsync(Pushed, Bytes, Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _stores.DisposeAsync();
        await _output.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Damaged_content_goes()
    {
        await DamageAsync();
        Assert.True(await RepairAsync(() => Task.CompletedTask));
        Assert.Contains($"removed: {Pushed}", _output.ToString(), StringComparison.Ordinal);
        Assert.Null(await Content.SizeAsync(Pushed, Cancel));
    }

    [Fact]
    public async Task Content_that_a_client_pushes_again_while_other_content_is_read_stays()
    {
        await DamageAsync();
        Assert.True(await RepairAsync(async () => await Content.PutAsync(Pushed, Bytes, Cancel)));
        Assert.Contains($"not removed: {Pushed}: its bytes are right by now", _output.ToString(), StringComparison.Ordinal);
        Assert.Equal(Verification.Intact, await Content.VerifyAsync(Pushed, Cancel));
    }

    [Fact]
    public async Task A_file_that_the_disk_can_read_at_the_second_time_stays()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Only Linux has a file whose reads fail.");
        MakeUnreadable();
        Assert.True(await RepairAsync(async () =>
        {
            System.IO.File.Delete(File);
            await System.IO.File.WriteAllBytesAsync(File, Bytes, Cancel);
        }));
        Assert.Equal(Verification.Intact, await Content.VerifyAsync(Pushed, Cancel));
    }

    [Fact]
    public async Task A_file_that_the_disk_can_never_read_goes()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Only Linux has a file whose reads fail.");
        MakeUnreadable();
        await RepairAsync(() => Task.CompletedTask);
        Assert.Contains($"removed: {Pushed}", _output.ToString(), StringComparison.Ordinal);
        await Content.PutAsync(Pushed, Bytes, Cancel);
        Assert.Equal(Verification.Intact, await Content.VerifyAsync(Pushed, Cancel));
    }

    [Fact]
    public async Task An_object_that_a_client_relies_on_while_it_is_read_again_stays()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        var scratch = _folder.Folder("scratch");
        var content = new BucketContentStore(bucket, new MemoryOptions { ScratchDirectory = scratch }, TimeProvider.System);
        await bucket.PutBytesAsync(RegistryLayout.BlobData(Pushed), new byte[Bytes.Length], onlyIfAbsent: false, Cancel);
        var sweepable = new BucketSweepStore(bucket, scratch, TimeProvider.System);
        var verifier = new StoreVerifier(
            _options, Touched.WhileRead(content), new BucketReferenceStore(bucket, TimeProvider.System), sweepable,
            new BucketProvenanceStore(bucket), TimeProvider.System);
        Assert.False(await verifier.RunAsync(repair: true, _output, TextWriter.Null, Cancel));
        Assert.Contains($"not removed: {Pushed}: a client", _output.ToString(), StringComparison.Ordinal);
        Assert.Equal(Bytes.Length, await content.SizeAsync(Pushed, Cancel));
    }

    [Fact]
    public async Task An_object_stays_while_the_bucket_refuses_to_send_it()
    {
        MirrorProcess.Availability.OrSkip();
        await using var store = await GoogleStorage.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {_folder.Write("key.json", store.KeyFile())}\n"
                + $"    rootdirectory: /registry\n    endpoint: {store.Url}\n  redirect: {{disable: true}}\n",
        });
        var app = new PushedRepository(mirror, "local/app");
        await app.PushAsync(Bytes);
        store.Faults.Set(request => request.QueryString.Value!.Contains("alt=media", StringComparison.Ordinal)
            && request.Path.Value!.Contains(Pushed.Hex, StringComparison.Ordinal) ? StoreFault.Status(503) : null);
        var (code, said) = await mirror.RunAsync("verify", "--repair");
        Assert.Equal(1, code);
        Assert.Contains($"could not be read: {Pushed}", said, StringComparison.Ordinal);
        store.Faults.Clear();
        Assert.Equal(Bytes, await app.BytesAsync($"blobs/{Pushed}"));
    }

    private async Task DamageAsync()
    {
        await System.IO.File.WriteAllBytesAsync(File, new byte[Bytes.Length], Cancel);
        System.IO.File.SetLastWriteTimeUtc(File, DateTime.UtcNow.AddHours(-1));
    }

    // The memory of a process has no first byte: to read it is an EIO.
    private void MakeUnreadable()
    {
        System.IO.File.Delete(File);
        System.IO.File.CreateSymbolicLink(File, "/proc/self/mem");
    }

    private async Task<bool> RepairAsync(Func<Task> onFound)
    {
        await using var output = new Interrupted(_output, onFound);
        return await ActivatorUtilities.CreateInstance<StoreVerifier>(_stores, _options, TimeProvider.System)
            .RunAsync(repair: true, output, TextWriter.Null, Cancel);
    }

    /// <summary>Something happens as soon as the first damage is told.</summary>
    private sealed class Interrupted(StringWriter output, Func<Task> onFound) : StringWriter
    {
        public override async Task WriteLineAsync(string? value)
        {
            await output.WriteLineAsync(value);
            if (value!.StartsWith("damaged: ", StringComparison.Ordinal))
                await onFound();
        }
    }

    /// <summary>A store whose content a client touches each time that it is read.</summary>
#pragma warning disable CA1852 // The proxy is a subtype that is made while the test runs.
    private class Touched : DispatchProxy
#pragma warning restore CA1852
    {
        private IContentStore _store = null!;

        public static IContentStore WhileRead(IContentStore store)
        {
            var touched = Create<IContentStore, Touched>();
            ((Touched)(object)touched)._store = store;
            return touched;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            if (targetMethod!.Name.StartsWith("Open", StringComparison.Ordinal))
                Assert.True(_store.TouchAsync((Digest)args![0]!, Cancel).AsTask().GetAwaiter().GetResult());
            return targetMethod.Invoke(_store, args);
        }
    }
}
