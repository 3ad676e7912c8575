namespace Mirror.Telemetry;

/// <summary>The two kinds of content that are pulled, in the words of the <c>type</c> label.</summary>
public enum ContentKind
{
    Blob,
    Manifest,
}

public static class ContentKindWords
{
    extension(ContentKind kind)
    {
        /// <summary><c>blob</c> or <c>manifest</c>. A constant: nothing is allocated.</summary>
        public string Label => kind switch
        {
            ContentKind.Blob => "blob",
            ContentKind.Manifest => "manifest",
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
    }
}
