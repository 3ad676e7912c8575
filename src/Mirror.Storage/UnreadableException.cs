namespace Mirror.Storage;

/// <summary>This process has no right to read a file or a folder of the store: whether the store has the content is unknown.</summary>
public sealed class UnreadableException(string path, Exception cause)
    : UnauthorizedAccessException($"user {ProcessUser.Name} may not read {path}", cause)
{
    /// <summary>The file or the folder.</summary>
    public string Path => path;

    /// <summary>
    /// Returns what was read; the default where this process may not read it. So one closed folder does not end what reads all the others.
    /// </summary>
    public static async ValueTask<T?> SkipAsync<T>(Func<ValueTask<T>> read)
    {
        try
        {
            return await read();
        }
        catch (UnreadableException)
        {
            return default;
        }
    }
}
