namespace Mirror.Configuration.Reading;

/// <summary>Every mistake in a configuration, so that one start shows them all.</summary>
internal sealed class Findings
{
    /// <summary>The mistakes that prevent a start, one line each.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>The keys and values that are ignored, one line each.</summary>
    public List<string> Warnings { get; } = [];
}
