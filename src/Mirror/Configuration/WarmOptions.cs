namespace Mirror.Configuration;

/// <summary>Section <c>proxy.warm</c>: what is fetched before clients ask for it.</summary>
public sealed class WarmOptions
{
    /// <summary>Lists of images, each with its own time between two runs.</summary>
    public WarmListOptions[] Lists { get; set; } = [];

    /// <summary>How many of the most pulled tags are checked shortly before their time is up. Zero: none.</summary>
    public int Learn { get; set; }
}

/// <summary>An entry of <c>proxy.warm.lists</c>.</summary>
public sealed class WarmListOptions
{
    /// <summary>Images as in the command <c>warm</c>, such as <c>library/nginx:1.27</c>. At least one.</summary>
    public string[] Images { get; set; } = [];

    /// <summary>The platforms of an index that are fetched; empty is <c>linux/amd64</c>, <c>all</c> is all.</summary>
    public string[] Platforms { get; set; } = [];

    /// <summary>The time between two runs.</summary>
    public TimeSpan Every { get; set; } = TimeSpan.FromDays(1);
}
