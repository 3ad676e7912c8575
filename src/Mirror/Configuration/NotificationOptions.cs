namespace Mirror.Configuration;

/// <summary>Section <c>notifications</c>: who is told of pulls, pushes, mounts and deletes.</summary>
public sealed class NotificationOptions
{
    public NotificationEventOptions Events { get; set; } = new();

    /// <summary>Where events are sent. Default nowhere.</summary>
    public NotificationEndpointOptions[] Endpoints { get; set; } = [];
}

/// <summary>Section <c>notifications.events</c>.</summary>
public sealed class NotificationEventOptions
{
    /// <summary>Whether an event of a manifest lists what that refers to. Default false.</summary>
    public bool IncludeReferences { get; set; }
}

/// <summary>One entry of <c>notifications.endpoints</c>.</summary>
public sealed class NotificationEndpointOptions
{
    /// <summary>What metrics, log and queue call it; each endpoint has its own.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whether nothing is sent, and nothing kept for later. Default false.</summary>
    public bool Disabled { get; set; }

    /// <summary>Where events are posted.</summary>
    public Uri Url { get; set; } = null!;

    /// <summary>Headers of every request; they go before ours. Default none.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long one attempt may take. Default 1 second.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How many attempts in a row fail before <see cref="Backoff"/> is kept between the next ones. Default 10.</summary>
    public int Threshold { get; set; } = 10;

    /// <summary>How long to wait between attempts that keep failing. Default 1 second.</summary>
    public TimeSpan Backoff { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Media types that are not told of; the older spelling of <c>ignore.mediatypes</c>.</summary>
    public string[] IgnoredMediaTypes { get; set; } = [];

    public NotificationIgnoreOptions Ignore { get; set; } = new();
}

/// <summary>Section <c>ignore</c> of an endpoint.</summary>
public sealed class NotificationIgnoreOptions
{
    /// <summary>Media types that are not told of. Default none.</summary>
    public string[] MediaTypes { get; set; } = [];

    /// <summary>Actions that are not told of: <c>pull</c>, <c>push</c>, <c>mount</c>, <c>delete</c>. Default none.</summary>
    public string[] Actions { get; set; } = [];
}
