namespace Mirror.Configuration.Reading;

/// <summary>What the text of a value may be.</summary>
/// <param name="Allowed">What is allowed, as it ends an error message.</param>
/// <param name="Canonical">The one spelling that the binder is given for a text, or null where the text is not allowed.</param>
internal sealed record ValueRule(string Allowed, Func<string, string?> Canonical);
