namespace Mirror.Upstream;

/// <summary>
/// One of the four answers that are not content. Within a process no code turns one into another. There is one exception: if the token
/// service refuses a client's own login, <see cref="ActingClient.Refusal"/> makes <see cref="UpstreamDeniedException"/> of
/// <see cref="UpstreamUnavailableException"/>. Another replica passes on only a status.
/// </summary>
public abstract class UpstreamException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The request, if this is upstream's own answer to it; null after a failure on the way.</summary>
    public UpstreamRequestKey? RequestKey { get; init; }

    /// <summary>What the operator of the mirror can do, in one sentence; null if the operator needs to do nothing.</summary>
    public virtual string? Advice => null;
}

/// <summary>
/// Upstream says no: it lacks the content. The client gets 404, even if the mirror has a copy. The three exceptions are about tags: one
/// that <c>keep_deleted</c> keeps, one that moved to a manifest which upstream does not have, and one that a client pushed.
/// </summary>
public sealed class UpstreamMissingException(string message) : UpstreamException(message);

/// <summary>
/// Upstream refuses this mirror access (401 or 403). This says nothing about the content: a login may have expired. Or upstream refuses the
/// content to every client (<see cref="IsOfContent"/>). A copy is served, marked stale.
/// </summary>
/// <param name="hasAccount">
/// Whether the request had an account. Docker Hub gives this answer to anonymous requests for every name that does not exist.
/// </param>
public sealed class UpstreamDeniedException(string message, bool hasAccount) : UpstreamException(message)
{
    public bool HasAccount => hasAccount;

    /// <summary>Upstream's 401 or 403 to a request.</summary>
    internal static UpstreamDeniedException Of(UpstreamRequestKey key, UpstreamOrigin origin, Accounts accounts) => new(
        $"{origin.Authority} refuses this mirror access to {key.Name}/{key.Path}"
            + (accounts.HaveCredentials ? $"; {accounts.HelperAdvice ?? "check the account in section proxy"}." : "."),
        accounts.HaveCredentials)
    {
        RequestKey = key,
        LoginAdvice = accounts.HelperAdvice is { } advice ? $"check that the account may read this repository; {advice}" : null,
    };

    /// <summary>The same refusal of a token, for one of the requests that waited for this token.</summary>
    internal UpstreamDeniedException For(UpstreamRequestKey key) => new(Message, hasAccount)
    {
        RequestKey = IsMissing ? null : key,
        IsMissing = IsMissing,
        LoginAdvice = LoginAdvice,
    };

    /// <summary>Whether upstream's answers do not show if it refuses the login or only this repository; another account may
    /// succeed.</summary>
    public bool MayBeOfLogin { get; init; }

    /// <summary>Whether it is a 404 to a request without the mirror's login. With the login the answer may be another one: the 404 is not
    /// remembered, and deletes nothing.</summary>
    public bool IsMissing { get; init; }

    /// <summary>Whether a rule of upstream refuses this content, whatever the login: 402, 412 (Harbor's scan policy), 423 or 451.</summary>
    public bool IsOfContent { get; init; }

    /// <summary>What the operator can do about the login, if the mirror did not send it, or if its password may have expired. Null for the
    /// usual advice.</summary>
    public string? LoginAdvice { get; init; }

    public override string Advice => IsOfContent ? "ask the operators of upstream why it refuses this image, or use another image"
        : LoginAdvice ?? (hasAccount
        ? "check that the account in section proxy may read this repository, and that its login has not expired"
        : "if the repository exists and is private, add an account that may read it to section proxy");
}

/// <summary>Upstream says later: a rate limit is reached.</summary>
/// <param name="retryAfter">How long to wait before the next request; null if upstream did not say.</param>
public sealed class UpstreamLimitedException(string message, TimeSpan? retryAfter) : UpstreamException(message)
{
    public TimeSpan? RetryAfter => retryAfter;

    /// <summary>Whether it limits requests without a login. The accounts may still be used.</summary>
    public bool IsOfAnonymous { get; init; }

    public override string Advice => "wait until upstream's limit is over, or add an account with a limit of its own to proxy.credentials";
}

/// <summary>
/// Upstream says nothing of the content: it cannot be reached, fails, or sends what no registry sends; or its token service refuses the
/// mirror's login.
/// </summary>
public sealed class UpstreamUnavailableException(string message, Exception? inner = null) : UpstreamException(message, inner)
{
    /// <summary>Whether the token service refused the login of the account; another account may succeed.</summary>
    public bool IsLoginRefused { get; init; }

    /// <summary>What the operator can do about a refused login; null for the usual advice.</summary>
    public string? LoginAdvice { get; init; }

    /// <summary>The host that gave no usable answer, if it is not upstream's own: upstream redirected to it, or named it as its token
    /// service. Else null.</summary>
    public string? OtherHost { get; init; }

    public override string Advice => IsLoginRefused
        ? LoginAdvice ?? "correct username and password in section proxy"
        : UpstreamRequest.AdviceFor(InnerException, isOtherHost: OtherHost is not null) ?? (OtherHost is null
            ? "if this lasts, check network, DNS, HTTPS_PROXY and proxy.remoteurl, and ask the operators of upstream"
            : $"upstream sends this mirror to {OtherHost}: if this lasts, check that no firewall, DNS or HTTPS_PROXY blocks this host, and "
                + "ask the operators of upstream");

    /// <summary>Whether it ignored or refused a range; the whole content can be requested.</summary>
    public bool IsRangeIgnored { get; init; }

    /// <summary>Whether it labelled its answer as an HTML page. It may still be the content: only its bytes can tell.</summary>
    public bool IsWebPage { get; init; }

    /// <summary>The length in bytes of what it labelled so; null if it is not known.</summary>
    public long? PageLength { get; init; }
}
