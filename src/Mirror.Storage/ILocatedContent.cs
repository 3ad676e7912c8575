namespace Mirror.Storage;

/// <summary>Content that a client can also download directly from the place where it is stored.</summary>
public interface ILocatedContent
{
    /// <summary>A URL that gives these bytes, without credentials, for a limited time; null where there is none.</summary>
    ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken);
}
