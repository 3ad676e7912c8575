namespace Mirror.Configuration.Reading;

/// <summary>What a key holds.</summary>
internal enum KeyShape
{
    /// <summary>One value, which follows a rule.</summary>
    Value,

    /// <summary>Keys that the table knows by name.</summary>
    Section,

    /// <summary>Any number of entries of one kind. A list of one entry may be written without the list.</summary>
    List,

    /// <summary>Keys that the user chooses, with entries of one kind.</summary>
    Map,

    /// <summary>Anything; it is not checked.</summary>
    Anything,
}

/// <summary>One row of the table of known keys: what may stand under a name, and what happens to it.</summary>
internal sealed record KnownKey(string Name, KeyShape Shape)
{
    /// <summary>The keys of a section.</summary>
    public IReadOnlyList<KnownKey> Children { get; init; } = [];

    /// <summary>The row for each entry of a list or a map.</summary>
    public KnownKey? Entry { get; init; }

    public ValueRule Rule { get; init; } = ValueRules.Text;

    /// <summary>The rule for the names in a map.</summary>
    public ValueRule NameRule { get; private init; } = ValueRules.Text;

    public bool IsNotActedOn => WhyNotActedOn is not null;

    /// <summary>Why the key is not acted on. Null: it is.</summary>
    public string? WhyNotActedOn { get; private init; }

    public bool HasNoEffect { get; private init; }

    public bool IsRequired { get; private init; }

    public bool IsMistakeEmpty { get; private init; }

    public bool IsSecret { get; private init; }

    public bool IsChoice { get; private init; }

    public bool IsVital { get; private init; }

    public bool IsVitalHere { get; private init; }

    /// <summary>The key of a section without which it does nothing; null if there is no one such key.</summary>
    public KnownKey? Main => Children.FirstOrDefault(child => child.IsVitalHere && child.Shape is KeyShape.Value);

    /// <summary>The keys that show the form of an entry: the first one, and those that the entry needs.</summary>
    public IEnumerable<KnownKey> MainKeys => Children.Where(
        (child, i) => i == 0 || child.IsRequired || child is { IsVitalHere: true, Shape: KeyShape.Value });

    /// <summary>Whether an empty entry of the list is a mistake that would be unsafe to ignore.</summary>
    public bool NeedsEntries => IsVitalHere || Entry!.Children.Any(child => child.IsRequired || child.IsVitalHere);

    /// <summary>Whether a mistyped name of it, in its own section, prevents a start while the key itself is not set.</summary>
    public bool IsVitalAlone { get; private init; }

    /// <summary>Other names that people write for it. They are not read, and only tell which key was meant.</summary>
    public IReadOnlyList<string> Misnomers { get; private init; } = [];

    /// <summary>Whether the section counts also without keys.</summary>
    public bool IsSetEmpty { get; private init; }

    /// <summary>The path of the key that this is another name of, as the binder writes paths. Null: it is not another name.</summary>
    public string? AliasTarget { get; private init; }

    /// <summary>The name that variables of the environment have for the key, beside its own. Null: they have none.</summary>
    public string? VariableName { get; private init; }

    /// <summary>A name that may stand between the section and its keys in variables. Null: none may.</summary>
    public string? VariableDetour { get; private init; }

    /// <summary>Accepted with a warning that says why: the user asks for something that the server does not do.</summary>
    public KnownKey NotActedOn(string why) => this with { WhyNotActedOn = why };

    /// <summary>Accepted without a warning: the server needs no such setting to do what the user asks for.</summary>
    public KnownKey NoEffect() => this with { HasNoEffect = true };

    /// <summary>Its section is a mistake without it.</summary>
    public KnownKey Required() => this with { IsRequired = true };

    /// <summary>The key without a value is a mistake: as if it were not there would be the opposite of what the user asks for.</summary>
    public KnownKey NeverEmpty() => this with { IsMistakeEmpty = true };

    /// <summary>In a place where it has no effect it prevents a start: by mistaken indentation a mirror would be a plain registry, content
    /// would be stored elsewhere, or the registry would be open.</summary>
    public KnownKey Vital() => this with { IsVital = true, IsVitalHere = true };

    /// <summary>A mistyped name of it, in its own section, prevents a start. In another section the name says nothing.</summary>
    public KnownKey VitalHere() => this with { IsVitalHere = true };

    /// <summary>Without it the server would use a default that is another thing than what the user wrote under a mistyped name. So such a
    /// name, in its own section, prevents a start while this key is not set.</summary>
    public KnownKey VitalAlone() => this with { IsVitalAlone = true };

    /// <summary>People write these names for it by mistake.</summary>
    public KnownKey NotNamed(params string[] misnomers) => this with { Misnomers = misnomers };

    /// <summary>The names in a map follow a rule.</summary>
    public KnownKey Named(ValueRule rule) => this with { NameRule = rule };

    /// <summary>Its values are never printed.</summary>
    public KnownKey Secret() => this with { IsSecret = true };

    /// <summary>
    /// A section of which the user chooses one key, and which may be written as the name of that key alone (<c>storage: filesystem</c>). An
    /// unknown key in it prevents a start, because to ignore it would be unsafe.
    /// </summary>
    public KnownKey Choice() => this with { IsChoice = true };

    /// <summary>The section alone, without any key in it, is a setting.</summary>
    public KnownKey CountsEmpty() => this with { IsSetEmpty = true };

    /// <summary>Another name of the key at <paramref name="path"/>. If a file has both, the value at <paramref name="path"/> is
    /// used.</summary>
    public KnownKey AliasOf(string path) => this with { AliasTarget = path.Replace('.', ':') };

    /// <summary>Variables of the registry name the fields of its program. Where a field and its key have two names, only this one worked
    /// there: <c>REGISTRY_HEALTH_FILECHECKERS_0_FILE</c> is <c>health.file[0].file</c>.</summary>
    public KnownKey InVariables(string name) => this with { VariableName = name };

    /// <summary>Variables may have one more name between the section and its keys: the only spelling that worked with <c>registry:3.0</c>
    /// is <c>REGISTRY_REDIS_OPTIONS_ADDRS</c>.</summary>
    public KnownKey DetourInVariables(string name) => this with { VariableDetour = name };

    /// <summary>The row for <paramref name="name"/> below this one, or null.</summary>
    public KnownKey? Find(string name) => Shape switch
    {
        KeyShape.Section => Children.FirstOrDefault(child => child.Name == name),
        KeyShape.Anything => this,
        _ => Entry,
    };
}
