using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A scripted Docker Hub and a mirror of it, both new for each test.</summary>
public abstract class MirrorOfHub : IAsyncLifetime
{
    protected const string Repository = "library/nginx";

    protected ScriptedHub Hub { get; private set; } = null!;

    protected MirrorProcess Mirror { get; private set; } = null!;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        Hub = await StartHubAsync();
        try
        {
            Mirror = await MirrorProcess.StartAsync(Settings(Hub));
        }
        catch
        {
            await Hub.DisposeAsync();
            throw;
        }
        // Ignore what the mirror requests when it starts.
        Hub.Log.Clear();
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await Mirror.DisposeAsync();
        await Hub.DisposeAsync();
    }

    protected virtual Task<ScriptedHub> StartHubAsync() => ScriptedHub.StartAsync();

    protected virtual MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url };

    /// <summary>Reads a body to its end, without keeping it, and returns its digest.</summary>
    protected static async Task<Digest> DigestOfAsync(HttpResponseMessage response)
    {
        using var hash = Digest.NewHash("sha256");
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        var buffer = new byte[64 * 1024];
        while (await body.ReadAsync(buffer, Cancel) is var count and > 0)
            hash.AppendData(buffer, 0, count);
        return Digest.FromHash("sha256", hash.GetCurrentHash());
    }

    /// <summary>Checks that a response has this status and a list of errors in JSON, as registries send it.</summary>
    protected static async Task AssertErrorAsync(HttpStatusCode status, HttpResponseMessage response)
    {
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        Assert.NotEqual("", body.GetProperty("errors")[0].GetProperty("code").GetString());
        // With upstream's challenge, clients would ask Docker Hub for tokens themselves.
        Assert.Empty(response.Headers.WwwAuthenticate);
    }

    protected static string ManifestPath(object reference, string repository = Repository) => $"{repository}/manifests/{reference}";

    protected static string BlobPath(Digest digest, string repository = Repository) => $"{repository}/blobs/{digest}";

    /// <summary>Whether content has its final name in the store.</summary>
    protected bool IsStored(Digest digest) =>
        File.Exists(Path.Combine(Mirror.Root, "docker", "registry", "v2", "blobs", digest.Algorithm, digest.Hex[..2], digest.Hex, "data"));
}
