using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>
/// A stand-in for Google Cloud Storage: its JSON interface, and of the XML interface the reading of signed addresses. There is no real
/// server that a test could start. Google's own client and rclone drive it in <c>GoogleStorageTests</c>.
/// </summary>
public sealed class GoogleStorage : IAsyncDisposable
{
    public const string Bucket = "mirror";

    private readonly TempFolder _folder = new();
    private readonly GcsAccount _account = new();
    private readonly GcsBuckets _buckets = new();
    private readonly GcsUploads _uploads;
    private readonly GcsCopies _copies;
    private readonly GcsRoutes _routes;
    private WebApplication? _server;

    private GoogleStorage()
    {
        Url = new($"http://127.0.0.1:{Ports.Free().ToString(CultureInfo.InvariantCulture)}/");
        _uploads = new(_buckets, _folder.Path);
        var files = new GcsFiles(_buckets, _folder.Path);
        _copies = new(_buckets, files, Url.OriginalString);
        _routes = new(_buckets, _uploads, files, _copies, Url.OriginalString);
        _buckets.Create(Bucket);
    }

    /// <summary>The address of the server, with a slash at its end.</summary>
    public Uri Url { get; }

    /// <summary>The address of the JSON interface, as the clients' settings want it.</summary>
    public Uri ApiUrl => new(Url, "storage/v1/");

    public StoreFaults Faults { get; } = new();

    /// <summary>How many resumable uploads are not finished.</summary>
    public int OpenUploads => _uploads.Count;

    /// <summary>The lifetime of the tokens that are given from now on.</summary>
    public TimeSpan TokenLifetime
    {
        set => _account.Lifetime = value;
    }

    /// <summary>How far the clock of the token service is ahead of that of this machine.</summary>
    public TimeSpan ClockDifference
    {
        set => _account.ClockDifference = value;
    }

    /// <summary>How many bytes one call of <c>rewriteTo</c> copies at most. Google copies large objects in several calls.</summary>
    public long BytesPerRewrite
    {
        set => _copies.BytesPerRewrite = value;
    }

    private Uri TokenUrl => new(Url, "token");

    public static async Task<GoogleStorage> StartAsync()
    {
        var store = new GoogleStorage();
        store._server = await OwnServer.StartAsync(store.Url, store.AnswerAsync);
        return store;
    }

    /// <summary>The content of the key file of an account that may do everything.</summary>
    public string KeyFile() => _account.KeyFile(TokenUrl);

    /// <summary>From now on no token that was given is accepted. A JWT that the account signed still is.</summary>
    public void RevokeTokens() => _account.RevokeTokens();

    public async ValueTask DisposeAsync()
    {
        Faults.End();
        if (_server is not null)
            await _server.DisposeAsync();
        _account.Dispose();
        _folder.Dispose();
    }

    private Task AnswerAsync(HttpContext context) =>
        Faults.ApplyAsync(context, RouteAsync, (refused, status) => GcsError.Of(status).WriteAsync(refused));

    private async Task RouteAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        // The slashes of an object's name are escaped, and the server would decode some of the path.
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var path = target.Split('?')[0];
        try
        {
            if (path == "/token")
                await _account.AnswerTokenAsync(context, TokenUrl);
            else if (path == "/" || path.StartsWith("/computeMetadata/", StringComparison.Ordinal))
                await AnswerMetadataAsync(context, path);
            else if (_routes.Find(context.Request.Method, path) is { } answer)
            {
                // The address of a resumable upload is its own credential.
                if (!context.Request.Query.ContainsKey("upload_id") && !_account.Accepts(context.Request.Headers.Authorization.ToString()))
                    throw Unauthorized(context.Request);
                await answer(context);
            }
            else if (path.Split('/', 3) is ["", { Length: > 0 } bucket, { Length: > 0 } name]
                && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)))
                await AnswerSignedAsync(context, path, bucket, Uri.UnescapeDataString(name));
            else
                throw new GcsError(404, "notFound", "Not Found");
        }
        catch (GcsError error)
        {
            await error.WriteAsync(context);
        }
        catch (Exception broken) when (!context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
        {
            // What is wrong with the stand-in shows in the message of its client. No client repeats a 501.
            await new GcsError(501, "notImplemented", broken.ToString()).WriteAsync(context);
        }
    }

    private static GcsError Unauthorized(HttpRequest request) => request.Headers.Authorization.Count > 0
        ? GcsError.Of(401)
        : new(401, "required", "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object. "
            + "Permission 'storage.objects.get' denied on resource (or it may not exist).");

    // The server of a virtual machine, where default credentials come from: GCE_METADATA_HOST names it.
    private async Task AnswerMetadataAsync(HttpContext context, string path)
    {
        context.Response.Headers["Metadata-Flavor"] = "Google";
        const string account = "/computeMetadata/v1/instance/service-accounts/default/";
        if (path == $"{account}token")
            await context.Response.WriteAsJsonAsync(_account.NewToken());
        else
            await context.Response.WriteAsync(path == $"{account}email" ? GcsAccount.Email : "");
    }

    private async Task AnswerSignedAsync(HttpContext context, string path, string bucket, string name)
    {
        if (_account.IsSignedAddress(context.Request, path))
        {
            await _routes.SendAsync(context, bucket, name);
            return;
        }
        context.Response.StatusCode = 403;
        context.Response.ContentType = "application/xml; charset=UTF-8";
        await context.Response.WriteAsync(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>SignatureDoesNotMatch</Code><Message>Access denied.</Message></Error>");
    }
}

/// <summary>One stand-in for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedGoogleStorage : IAsyncDisposable
{
    private static readonly Lazy<Task<GoogleStorage>> Started = new(GoogleStorage.StartAsync);

    public static Task<GoogleStorage> GetAsync() => Started.Value;

    public async ValueTask DisposeAsync()
    {
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}
