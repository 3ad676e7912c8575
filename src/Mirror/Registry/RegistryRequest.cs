using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Mirror.Access;
using Mirror.Limits;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>One request on its way through the registry: what it asks for, and what logs and metrics report of it.</summary>
/// <param name="isFromReplica">Whether another replica sent it, and has proved that.</param>
public sealed class RegistryRequest(HttpContext http, RegistryRoute route, bool isFromReplica)
{
    private IRepository? _repository;

    public HttpContext Http => http;
    public RegistryRoute Route => route;
    public bool IsHead => HttpMethods.IsHead(http.Request.Method);
    public bool IsFromReplica => isFromReplica;
    public CancellationToken Aborted => http.RequestAborted;

    /// <summary>Whether it is about the server itself: the path is <c>/</c>, or the target is <c>*</c> (RFC 9110, 9.3.7).</summary>
    public bool IsOfServer => http.Request.Path.Value is "/" or "" or null;

    /// <summary>Where the answer came from; null until that is known, and for hosted repositories.</summary>
    public CacheStatus? CacheStatus { get; private set; }

    /// <summary>The place that the body of the request, or of its answer, takes among all running bodies; null for small bodies.</summary>
    public Transfer? Transfer { get; set; }

    /// <summary>Body bytes sent to the client so far.</summary>
    public long Written { get; set; }

    /// <summary>The error that was answered, or for which the answer was cut off; null where there was none.</summary>
    public RequestFailure? Failed { get; set; }

    /// <summary>The authenticated user; null where there is none.</summary>
    public AccessUser? User { get; set; }

    /// <summary>
    /// The user that a push counts for in quotas and among the open uploads, or else the client's address. Of an IPv6 address only the
    /// first 64 bits count: a client can choose the others.
    /// </summary>
    public string Client => (User, http.Connection.RemoteIpAddress) switch
    {
        ({ Name: { Length: > 0 } user }, _) => $"user {user}",
        (_, { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false } address) =>
            $"network {Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8))}",
        (_, var address) => $"address {address}",
    };

    /// <summary>The name that a client gave with a wrong password; null where there was none.</summary>
    public string? RefusedUser { get; set; }

    /// <summary>The registry that the client means (OCI distribution-spec, "Registry Proxying"); null where it does not say.</summary>
    public string? Namespace => http.Request.Query["ns"] is [{ Length: > 0 } ns, ..] ? ns : null;

    /// <summary>Whether the path names a repository, and the name is valid.</summary>
    internal bool HasRepository => _repository is not null;

    /// <summary>Whether a proxy that is trusted has passed the request on.</summary>
    internal bool IsForwarded { get; set; }

    /// <summary>The repository that the path names.</summary>
    /// <exception cref="RegistryException">The name breaks the grammar.</exception>
    public IRepository Repository
    {
        get => _repository ?? throw NoName();
        set => _repository = value;
    }

    /// <exception cref="RegistryException">It is neither a tag nor a digest: 404 to a client that reads.</exception>
    public Reference Reference =>
        Reference.TryParse(route.Last, out var reference) ? reference
            : throw Misspelt(
                RegistryError.ManifestUnknown,
                route.Last.Contains(':', StringComparison.Ordinal) ? RegistryException.InvalidDigest() : RegistryException.InvalidTag());

    /// <exception cref="RegistryException">It is not a digest: 404 to a client that reads a blob.</exception>
    public Digest Digest =>
        Digest.TryParse(route.Last, out var digest) ? digest
            : throw (route.Kind is RouteKind.Blob
                ? Misspelt(RegistryError.BlobUnknown, RegistryException.InvalidDigest())
                : RegistryException.InvalidDigest());

    /// <summary>The hosted repository that the request pushes to.</summary>
    /// <exception cref="RegistryException">The repository is mirrored, or the name breaks the grammar.</exception>
    public HostedRepository PushTarget(RepositoryResolver repositories) =>
        repositories.Hosted(Repository.Name) ?? throw new RegistryException(
            RegistryError.Denied,
            $"'{Repository.Name}' is mirrored and so read-only; to allow pushes, add a pattern for it to hosted.repositories")
        {
            Advice = "if clients shall push there, add a pattern for it to hosted.repositories",
        };

    /// <summary>Whether the path names a repository; false as well where the name breaks the grammar.</summary>
    public bool HasName(out RepositoryName name) => RepositoryName.TryParse(route.Name, out name);

    /// <summary>The client's address, with its port where that is known.</summary>
    private string ClientAddress => (http.Connection.RemoteIpAddress, http.Connection.RemotePort) switch
    {
        (null, _) => "",
        (var address, 0) => address.ToString(),
        (var address, var port) => new IPEndPoint(address, port).ToString(),
    };

    /// <summary>What an event tells of this request.</summary>
    public EventOrigin Origin(Locations locations) => new(
        http.TraceIdentifier, ClientAddress,
        http.Request.Host.Value, http.Request.Method, http.Request.Headers.UserAgent.ToString() is { Length: > 0 } agent ? agent : null,
        User?.Name, locations.PublicBase(http.Request));

    /// <summary>Puts into headers, log and metrics where an answer came from. Call it before the first byte of the body.</summary>
    public void SetCacheStatus<T>(in Answer<T> answer)
    {
        CacheStatus = answer.CacheStatus;
        if (answer.CacheStatus is { } outcome)
            http.Response.Headers["X-Cache"] = outcome.Label;
        // "110 - response is stale" (RFC 7234 5.5.1) would be the code for this, but the distribution-spec allows only 299 without a date.
        if (answer.Stale is not null)
            http.Response.Headers.Warning = "299 - \"stale: the upstream registry could not be asked\"";
        else if (answer.Held is { } why)
            http.Response.Headers.Warning = $"299 - \"held: {why}\"";
    }

    /// <summary>Sends what was written of the body, and waits while the client takes none of it.</summary>
    /// <param name="length">How many bytes were written since the last call.</param>
    public ValueTask FlushAsync(int length)
    {
        var flush = http.Response.BodyWriter.FlushAsync(Aborted);
        if (!flush.IsCompletedSuccessfully)
            return WaitAsync(flush, length);
        Sent(flush.Result, length);
        return ValueTask.CompletedTask;
    }

    // Content with an invalid name cannot exist, so the answer is 404 (OCI distribution-spec 1.1.1, "Pulling manifests").
    private RegistryException Misspelt(RegistryError unknown, RegistryException invalid) =>
        IsHead || HttpMethods.IsGet(http.Request.Method) ? new RegistryException(unknown, invalid.Detail) : invalid;

    private async ValueTask WaitAsync(ValueTask<FlushResult> flush, int length)
    {
        Transfer?.WaitForClient();
        Sent(await flush, length);
    }

    private void Sent(FlushResult flush, int length)
    {
        // Kestrel does not throw where the connection ended meanwhile. These may be the last bytes, so no later call would.
        if (flush.IsCompleted)
            throw new ConnectionAbortedException();
        Transfer?.Moved(length);
        Written += length;
    }

    private RegistryException NoName() =>
        HasName(out _)
            ? new RegistryException(RegistryError.NameUnknown, "the registry that 'ns' names is not mirrored")
            {
                Advice = "if it shall be mirrored, add it to proxy.upstreams; to ignore unknown names in 'ns', set proxy.any_ns",
            }
            : new RegistryException(
                RegistryError.NameInvalid,
                $"a name is parts of lower-case letters, digits and separators, joined by '/', at most {RepositoryName.MaxLength} long");
}
