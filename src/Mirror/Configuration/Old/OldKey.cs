namespace Mirror.Configuration.Old;

/// <summary>What becomes of a key of docker-registry 0.x.</summary>
public enum OldKeyFate
{
    /// <summary>A setting of today, or an answer of the old routes, does the same.</summary>
    Taken,

    /// <summary>A setting of today does a part of it. The start says what is different.</summary>
    TakenInPart,

    /// <summary>It changes nothing, and nothing is missing for that.</summary>
    WithoutEffect,

    /// <summary>What it asks for is not done. The start says so.</summary>
    NotDone,

    /// <summary>It prevents the start: to ignore it would be unsafe, or content would be looked for in the wrong place.</summary>
    Refused,
}

/// <summary>One key of docker-registry 0.x, and what becomes of it.</summary>
/// <param name="Name">The key as a path (<c>cache.host</c>), or the name of a variable.</param>
/// <param name="Value">Its value in one line, with secrets masked.</param>
/// <param name="Text">For <see cref="OldKeyFate.Taken"/> what it is today, else the reason, with what to do instead.</param>
public sealed record OldKey(string Name, string Value, OldKeyFate Fate, string Text)
{
    /// <summary>The end of the key's line in the table of <c>check-config</c>.</summary>
    public string Outcome => Fate switch
    {
        OldKeyFate.Taken => Text,
        OldKeyFate.TakenInPart => $"in part: {Text}",
        OldKeyFate.Refused => $"refused: {Text}",
        OldKeyFate.NotDone => $"not done: {Text}",
        _ => $"without effect: {Text}",
    };
}
