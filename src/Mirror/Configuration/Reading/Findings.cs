namespace Mirror.Configuration.Reading;

/// <summary>What is wrong with a configuration: all of it, so that one start shows every mistake.</summary>
internal sealed class Findings
{
    /// <summary>What stops the start, a line each.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>What is ignored, a line each.</summary>
    public List<string> Warnings { get; } = [];
}
