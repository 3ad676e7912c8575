namespace Mirror.Configuration.Old;

/// <summary>A file of sections with keys, as Python's programs read it.</summary>
internal static class IniFile
{
    /// <summary>Each value by its section and its key; the case of a key does not count.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyDictionary<(string Section, string Key), string> Read(string path)
    {
        Dictionary<(string, string), string> values = [];
        var section = "";
        foreach (var line in File.ReadLines(path).Select(line => line.Trim()).Where(line => line is not ([] or ['#' or ';', ..])))
            if (line is ['[', .. var name, ']'])
                section = name;
            else if (line.Split('=', 2) is [var key, var value])
                values[(section, key.Trim().ToLowerInvariant())] = value.Trim();
        return values;
    }
}
