namespace Mirror.Configuration;

/// <summary>Section <c>notifications</c>: webhooks for pulls, pushes, mounts and deletes.</summary>
public sealed class NotificationOptions
{
    public NotificationEventOptions Events { get; set; } = new();

    public NotificationEndpointOptions[] Endpoints { get; set; } = [];
}

/// <summary>Section <c>notifications.events</c>.</summary>
public sealed class NotificationEventOptions
{
    /// <summary>Whether an event of a manifest lists the content that the manifest refers to.</summary>
    public bool IncludeReferences { get; set; }
}

/// <summary>An entry of <c>notifications.endpoints</c>: a receiver of events.</summary>
public sealed class NotificationEndpointOptions
{
    private const int DefaultThreshold = 10;

    private static readonly TimeSpan DefaultTime = TimeSpan.FromSeconds(1);

    /// <summary>The name of the endpoint in metrics, in the log and in the folder of its queue. No two endpoints may share it.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whether events are neither sent nor kept for later.</summary>
    public bool Disabled { get; set; }

    /// <summary>The http or https URL that events are posted to. A disabled endpoint may have none.</summary>
    public Uri Url { get; set; } = null!;

    /// <summary>Headers of every request; they replace our own of the same name.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long one attempt may take; from 10 ms to 24 hours. Zero means the default.</summary>
    public TimeSpan Timeout { get; set => field = value > TimeSpan.Zero ? value : DefaultTime; } = DefaultTime;

    /// <summary>After this many failed attempts in a row the server waits for <see cref="Backoff"/> before each next one. Zero
    /// means the default.</summary>
    public int Threshold { get; set => field = value > 0 ? value : DefaultThreshold; } = DefaultThreshold;

    /// <summary>The time between attempts while they keep failing. Zero means the default.</summary>
    public TimeSpan Backoff { get; set => field = value > TimeSpan.Zero ? value : DefaultTime; } = DefaultTime;

    /// <summary>The older spelling of <see cref="NotificationIgnoreOptions.MediaTypes"/>.</summary>
    public string[] IgnoredMediaTypes { get; set; } = [];

    public NotificationIgnoreOptions Ignore { get; set; } = new();
}

/// <summary>Section <c>ignore</c> of an endpoint: the events that are not sent to it.</summary>
public sealed class NotificationIgnoreOptions
{
    /// <summary>Events of content of these media types.</summary>
    public string[] MediaTypes { get; set; } = [];

    /// <summary>Events of these actions: <c>pull</c>, <c>push</c>, <c>mount</c>, <c>delete</c>.</summary>
    public string[] Actions { get; set; } = [];
}
