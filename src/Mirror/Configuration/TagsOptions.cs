namespace Mirror.Configuration;

/// <summary>Section <c>tags</c>.</summary>
public sealed class TagsOptions
{
    /// <summary>The most tags on one page of <c>tags/list</c>; who asks for more gets this many and a link to the next. Default 1000.</summary>
    public int MaxTags { get; set; } = 1000;
}
