using Mirror.Storage;

namespace Mirror.Configuration;

/// <summary>Says why a file that a setting names cannot be used.</summary>
public static class FileMistake
{
    /// <summary>What is wrong with the file, as the end of a sentence; null if this process can read it.</summary>
    public static string? Of(string path)
    {
        if (Directory.Exists(path))
            return "is a folder, not a file";
        try
        {
            using var opened = File.OpenRead(path);
            return null;
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return "does not exist";
        }
        catch (UnauthorizedAccessException)
        {
            return $"may not be read by user {ProcessUser.Name} (run: chown {ProcessUser.Name} {path})";
        }
        catch (ArgumentException)
        {
            return "is no path: it has a character that no name of a file has";
        }
        catch (IOException failure)
        {
            return $"cannot be read: {failure.Message}";
        }
    }
}
