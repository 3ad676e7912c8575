namespace Mirror.Configuration.Reading;

/// <summary>What stands under a key.</summary>
internal enum KeyShape
{
    /// <summary>One value, which follows a rule.</summary>
    Value,

    /// <summary>Keys that are known by name.</summary>
    Section,

    /// <summary>Any number of entries alike; a single entry may stand without the list around it.</summary>
    List,

    /// <summary>Keys the user chooses, with entries alike.</summary>
    Map,

    /// <summary>Whatever the user writes.</summary>
    Anything,
}

/// <summary>One row of the table of known keys: what may stand under a name and what becomes of it.</summary>
internal sealed record KnownKey(string Name, KeyShape Shape)
{
    /// <summary>The keys of a section.</summary>
    public IReadOnlyList<KnownKey> Children { get; init; } = [];

    /// <summary>What each entry of a list or map is.</summary>
    public KnownKey? Entry { get; init; }

    public ValueRule Rule { get; init; } = ValueRules.Text;

    /// <summary>Whether the key is accepted although nothing acts on it yet.</summary>
    public bool IsLater { get; private init; }

    /// <summary>Why the key stops the start, or null where it does not.</summary>
    public string? Refusal { get; private init; }

    /// <summary>Whether its section cannot do without it.</summary>
    public bool IsRequired { get; private init; }

    /// <summary>Whether its values are never shown.</summary>
    public bool IsSecret { get; private init; }

    /// <summary>Whether an unknown key under this section stops the start, because ignoring it would be unsafe.</summary>
    public bool IsStrict { get; private init; }

    /// <summary>Whether the section may be written as the name of one of its keys alone: <c>storage: filesystem</c>.</summary>
    public bool IsChoice { get; private init; }

    /// <summary>The path by which the value is known today, or null; a value under that path goes before this one.</summary>
    public string? NowSpelled { get; private init; }

    /// <summary>Accepted, with a warning that nothing acts on it yet.</summary>
    public KnownKey Later() => this with { IsLater = true };

    /// <summary>Known, but ignoring it would do other than was asked, so it stops the start.</summary>
    public KnownKey Refused(string why) => this with { Refusal = why };

    public KnownKey Required() => this with { IsRequired = true };

    public KnownKey Secret() => this with { IsSecret = true };

    /// <summary>A section of which one key is chosen; another than the known ones stops the start.</summary>
    public KnownKey Choice() => this with { IsStrict = true, IsChoice = true };

    public KnownKey Now(string path) => this with { NowSpelled = path };

    /// <summary>What is known under <paramref name="name"/>, or null.</summary>
    public KnownKey? Find(string name) => Shape switch
    {
        KeyShape.Section => Children.FirstOrDefault(child => child.Name == name),
        KeyShape.Anything => this,
        _ => Entry,
    };
}
