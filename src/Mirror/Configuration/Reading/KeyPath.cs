namespace Mirror.Configuration.Reading;

/// <summary>Where a key stands: as messages write it (<c>proxy.remoteurl</c>) and as the binder looks it up (<c>proxy:remoteurl</c>).</summary>
internal readonly record struct KeyPath(string Shown, string Bound)
{
    public static readonly KeyPath Root = new("", "");

    public static KeyPath Of(string shown) => new(shown, shown.Replace('.', ':'));

    public KeyPath Child(string name) =>
        Shown is "" ? new(name, name) : new($"{Shown}.{name}", ConfigurationPath.Combine(Bound, name));
}
