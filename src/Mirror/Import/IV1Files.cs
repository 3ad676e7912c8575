namespace Mirror.Import;

/// <summary>A tag of a repository of docker-registry 0.x.</summary>
/// <param name="Repository">Such as <c>library/ubuntu</c>.</param>
public readonly record struct V1Tag(string Repository, string Tag)
{
    public override string ToString() => $"{Repository}:{Tag}";
}

/// <summary>
/// The files of a storage of docker-registry 0.x, which are only read:
/// <code>
/// repositories/&lt;namespace&gt;/&lt;name&gt;/tag_&lt;tag&gt;    the id of an image
/// images/&lt;id&gt;/json                            its settings
/// images/&lt;id&gt;/ancestry                        its id and those of its parents, newest first
/// images/&lt;id&gt;/layer                           its files, a tar, mostly compressed
/// images/&lt;id&gt;/_inprogress                     its push has not ended
/// </code>
/// </summary>
public interface IV1Files
{
    /// <summary>The longest file that is read as text, in bytes.</summary>
    const int MaxText = 1 << 20;

    /// <summary>The place, as messages show it.</summary>
    string Name { get; }

    /// <summary>Every tag, by namespace and name.</summary>
    IAsyncEnumerable<V1Tag> TagsAsync(CancellationToken cancellationToken);

    /// <summary>The length of a file in bytes; null where there is none.</summary>
    ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken);

    /// <summary>Opens a file; null where there is none.</summary>
    ValueTask<Stream?> OpenAsync(string path, CancellationToken cancellationToken);

    /// <summary>The text of a small file; null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is longer than <see cref="MaxText"/>.</exception>
    async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken)
    {
        if (await SizeAsync(path, cancellationToken) is not { } size)
            return null;
        if (size > MaxText)
            throw new InvalidDataException($"{path} has {size} bytes, and {MaxText} are the most");
        if (await OpenAsync(path, cancellationToken) is not { } opened)
            return null;
        using var text = new StreamReader(opened);
        return await text.ReadToEndAsync(cancellationToken);
    }
}
