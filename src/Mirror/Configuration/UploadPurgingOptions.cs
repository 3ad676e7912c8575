namespace Mirror.Configuration;

/// <summary>Section <c>storage.maintenance.uploadpurging</c>: what becomes of pushes that were begun and never finished.</summary>
public sealed class UploadPurgingOptions
{
    /// <summary>Whether they are removed. Default true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>How long no bytes have come. Default 7 days.</summary>
    public TimeSpan Age { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How long from one look to the next. Default 1 day.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Whether it is only said what would be removed. Default false.</summary>
    public bool DryRun { get; set; }
}
