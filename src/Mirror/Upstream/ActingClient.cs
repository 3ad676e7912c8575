using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// A client whose own login upstream has accepted for a private repository (<c>proxy.private: client</c>). While the client's request runs,
/// the mirror sends this login with its own requests for this repository, in place of its accounts. It sends the login with no request to
/// another upstream or for another repository.
/// </summary>
/// <param name="account">The client's login, with the tokens that upstream gave for it.</param>
/// <param name="login">A keyed hash of the login. Clients with one login for one repository are equal, also if it was proved twice.</param>
public sealed class ActingClient(UpstreamOrigin origin, RepositoryName name, Account account, string login) : IEquatable<ActingClient>
{
    private static readonly AsyncLocal<ActingClient?> Ambient = new();

    private volatile bool _isRefused;

    /// <summary>The client for which the current request runs, and the work that it started; null for all others.</summary>
    public static ActingClient? Current
    {
        get => Ambient.Value;
        set => Ambient.Value = value;
    }

    public Account Account => account;

    /// <summary>Whether upstream has refused the login since it was accepted.</summary>
    public bool IsRefused => _isRefused;

    /// <summary>The current client, if its login is for this repository of this upstream; else null.</summary>
    public static ActingClient? For(UpstreamOrigin origin, RepositoryName name) =>
        Ambient.Value is { } client && client.IsFor(origin, name) ? client : null;

    /// <summary>Whether upstream, or its token service, refuses a login. A 404 to a request without the login does not.</summary>
    public static bool IsRefusal(UpstreamException answer) =>
        answer is UpstreamDeniedException { IsMissing: false } or UpstreamUnavailableException { IsLoginRefused: true };

    /// <summary>Remembers that upstream refused the login, and returns the exception to throw.</summary>
    public Exception Refusal(UpstreamKind kind, string message)
    {
        _isRefused = true;
        // A download may serve other clients too. So it ends with an UpstreamException, and then another origin can continue it.
        return kind is UpstreamKind.Blob ? new UpstreamDeniedException(message, hasAccount: true) : new ClientRefusedException(message);
    }

    public bool Equals(ActingClient? other) => other is not null && other.IsFor(origin, name) && other.Has(login);

    public override bool Equals(object? obj) => Equals(obj as ActingClient);

    public override int GetHashCode() => HashCode.Combine(name, login);

    private bool Has(string other) => login == other;

    private bool IsFor(UpstreamOrigin asked, RepositoryName repository) => asked == origin && repository == name;
}

/// <summary>
/// Upstream refuses the login of a client that it accepted before. This is no <see cref="UpstreamException"/>: after one of those the
/// mirror serves its stored copy, and this client may not get the copy.
/// </summary>
public sealed class ClientRefusedException(string message) : Exception(message);
