namespace Mirror.Storage.Stores;

/// <summary>Content that a reader can also fetch by itself, from where it is stored.</summary>
public interface ILocatedContent
{
    /// <summary>An address that gives these bytes to whoever knows it, for a while. Making it asks nobody.</summary>
    ValueTask<Uri> LocateAsync(CancellationToken cancellationToken);
}
