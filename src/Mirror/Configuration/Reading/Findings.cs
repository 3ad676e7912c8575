namespace Mirror.Configuration.Reading;

/// <summary>Every mistake in a configuration, so that one start shows them all.</summary>
internal sealed class Findings
{
    /// <summary>The mistakes that prevent a start, one line each.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>Removes a line about a missing key where a later line says more about the same key.</summary>
    public void RemoveRepeated()
    {
        string[] all = [.. Errors];
        Errors.Clear();
        foreach (var (i, line) in all.Index())
            if (KeyOf(line) is not { } key || !Array.Exists(all[(i + 1)..], later => KeyOf(later) == key))
                Errors.Add(line);

        static string? KeyOf(string line) => line.IndexOf(": missing;", StringComparison.Ordinal) is > 0 and var end ? line[..end] : null;
    }

    /// <summary>The keys and values that are ignored, one line each.</summary>
    public List<string> Warnings { get; } = [];
}
