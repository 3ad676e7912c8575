using Mirror.Storage;
using Mirror.Storage.Files;

namespace Mirror.Hosting;

/// <summary>Checks at the start that the server may write to its folders.</summary>
internal static class WritableFolder
{
    /// <summary>
    /// Returns if a file can be made in <paramref name="folder"/>, and also if the disk is full or read-only: stored content can still be
    /// served, and the disk may be mended while the server runs.
    /// </summary>
    /// <param name="what">What the folder is, for messages.</param>
    /// <param name="create">Makes the folder where it is missing; null makes it with the usual rights.</param>
    /// <exception cref="IOException">The process has no right to write there, and the message says how to give it that right; or the folder
    /// is missing and cannot be made.</exception>
    public static void Require(string folder, string what = "storage folder", Action? create = null)
    {
        try
        {
            if (create is null)
                Directory.CreateDirectory(folder);
            else
                create();
            WriteTrial.Write(folder);
        }
        catch (UnauthorizedAccessException)
        {
            var user = ProcessUser.Name;
            throw new IOException($"user {user} may not write to the {what} {folder}; run: chown -R {user} {folder}");
        }
        // Full, or read-only: readiness says so.
        catch (IOException) when (Directory.Exists(folder))
        {
        }
        catch (IOException failure)
        {
            throw new IOException($"the {what} {folder} is not there and cannot be made: {failure.Message}", failure);
        }
    }
}
