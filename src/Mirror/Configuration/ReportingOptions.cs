namespace Mirror.Configuration;

/// <summary>Section <c>reporting</c>: services that collect errors and figures.</summary>
public sealed class ReportingOptions
{
    public BugsnagOptions Bugsnag { get; set; } = new();

    public NewRelicOptions NewRelic { get; set; } = new();
}

/// <summary>Section <c>reporting.bugsnag</c>.</summary>
public sealed class BugsnagOptions
{
    /// <summary>The key of the project. Null: nothing is reported.</summary>
    public string? ApiKey { get; set; }

    /// <summary>Such as <c>production</c>. Null: Bugsnag's own default.</summary>
    public string? ReleaseStage { get; set; }

    /// <summary>Where reports are sent.</summary>
    public Uri Endpoint { get; set; } = new("https://notify.bugsnag.com/");
}

/// <summary>Section <c>reporting.newrelic</c>.</summary>
public sealed class NewRelicOptions
{
    /// <summary>The license key. Null: nothing is sent.</summary>
    public string? LicenseKey { get; set; }

    /// <summary>The name of the service.</summary>
    public string Name { get; set; } = "mirror";

    /// <summary>Whether the log has a line for each request to New Relic, with its outcome.</summary>
    public bool Verbose { get; set; }
}
