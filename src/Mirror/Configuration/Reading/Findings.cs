namespace Mirror.Configuration.Reading;

/// <summary>Every mistake in a configuration, so that one start shows them all.</summary>
internal sealed class Findings
{
    /// <summary>The mistakes that prevent a start, one line each.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>The keys and values that are ignored, one line each.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Reports a key or a variable that nothing reads.</summary>
    /// <param name="what">It, and that it is not known.</param>
    /// <param name="isUnsafe">Whether the server must not start without what was probably meant.</param>
    /// <param name="hint">What was probably meant; empty where nothing is like it.</param>
    public void AddUnknown(string what, bool isUnsafe, string hint) =>
        (isUnsafe ? Errors : Warnings).Add($"{what}{(isUnsafe ? ", and ignoring it would not be safe" : " and is ignored")}{hint}");
}
