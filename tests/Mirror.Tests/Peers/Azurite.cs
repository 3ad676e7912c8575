using System.Globalization;
using Azure.Storage;
using Azure.Storage.Blobs;

namespace Mirror.Tests.Peers;

/// <summary>Microsoft's emulator of Azure Blob Storage, with its data in a folder that does not outlive it.</summary>
public sealed class Azurite : IAsyncDisposable
{
    // The account that every emulator has. Its key is published with the emulator.
    public const string Account = "devstoreaccount1";
    public const string Key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    public const string Container = "mirror";

    private readonly TempFolder _folder = new();
    private readonly PeerProcess _process;

    private Azurite()
    {
        var number = Ports.Free().ToString(CultureInfo.InvariantCulture);
        Url = new($"http://127.0.0.1:{number}/{Account}");
        _process = PeerProcess.Start("azurite-blob",
        [
            "--blobHost", "127.0.0.1", "--blobPort", number, "-l", _folder.Path, "--silent", "--disableTelemetry",
            "--skipApiVersionCheck",
        ]);
    }

    public static Availability Availability => Availability.Of("azurite-blob");

    /// <summary>The address of the account.</summary>
    public Uri Url { get; }

    /// <summary>A client of the container.</summary>
    public BlobContainerClient Client(string container = Container) => new(
        new Uri($"{Url}/{container}"),
        new StorageSharedKeyCredential(Account, Key),
        new BlobClientOptions { TrimBlobNameSlashes = false });

    /// <summary>Starts it with an empty container.</summary>
    public static async Task<Azurite> StartAsync()
    {
        var store = new Azurite();
        try
        {
            await store._process.UntilAnswersAsync(store.Url);
            await store.Client().CreateAsync();
            return store;
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.KillAsync();
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}

/// <summary>One emulator for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedAzurite : IAsyncDisposable
{
    private static readonly Lazy<Task<Azurite>> Started = new(Azurite.StartAsync);

    /// <summary>The emulator; skips the running test where it cannot be run.</summary>
    public static Task<Azurite> OrSkipAsync()
    {
        Azurite.Availability.OrSkip();
        return Started.Value;
    }

    public async ValueTask DisposeAsync()
    {
        // One that did not start has told those who asked for it.
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}
