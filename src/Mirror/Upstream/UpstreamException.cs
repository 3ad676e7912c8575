namespace Mirror.Upstream;

/// <summary>One of the four answers that are not content. No code turns one into another.</summary>
public abstract class UpstreamException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The request, if this is upstream's own answer to it; null after a failure on the way.</summary>
    public UpstreamRequestKey? RequestKey { get; init; }

    /// <summary>What the operator of the mirror can do, in one sentence; null if the operator needs to do nothing.</summary>
    public virtual string? Advice => null;
}

/// <summary>Upstream says no: it lacks the content. This holds even if the mirror has a copy.</summary>
public sealed class UpstreamRefusedException(string message) : UpstreamException(message);

/// <summary>
/// Upstream refuses this mirror access (401 or 403). This says nothing about the content: a login may have expired. A copy is served,
/// marked stale.
/// </summary>
/// <param name="hasAccount">
/// Whether the request had an account. Docker Hub gives this answer to anonymous requests for every name that does not exist.
/// </param>
public sealed class UpstreamDeniedException(string message, bool hasAccount) : UpstreamException(message)
{
    public bool HasAccount => hasAccount;

    public override string Advice => hasAccount
        ? "check that the account in section proxy may read this repository, and that its login has not expired"
        : "if the repository exists and is private, add an account that may read it to section proxy";
}

/// <summary>Upstream says later: a rate limit is reached.</summary>
/// <param name="retryAfter">How long to wait before the next request; null if upstream did not say.</param>
public sealed class UpstreamLimitedException(string message, TimeSpan? retryAfter) : UpstreamException(message)
{
    public TimeSpan? RetryAfter => retryAfter;

    public override string Advice => "wait until upstream's limit is over, or add an account with a limit of its own to proxy.credentials";
}

/// <summary>Upstream says nothing: it cannot be reached, fails, or sends what no registry sends.</summary>
public sealed class UpstreamUnavailableException(string message, Exception? inner = null) : UpstreamException(message, inner)
{
    /// <summary>Whether it refused the login of the account; another account may succeed.</summary>
    public bool IsLoginRefused { get; init; }

    public override string Advice => IsLoginRefused
        ? "correct username and password in section proxy"
        : TlsFault.AdviceFor(InnerException)
            ?? "if this lasts, check network, DNS, HTTPS_PROXY and proxy.remoteurl, and ask the operators of upstream";

    /// <summary>Whether it ignored or refused a range; the whole content can be requested.</summary>
    public bool IsRangeIgnored { get; init; }
}
