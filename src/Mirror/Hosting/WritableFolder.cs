using System.Globalization;

namespace Mirror.Hosting;

/// <summary>Checks at the start that the server may write to its storage.</summary>
internal static class WritableFolder
{
    /// <summary>
    /// Returns if a file can be made in <paramref name="folder"/>, and also if the disk is full or read-only: stored content can still be
    /// served, and the disk may be mended while the server runs.
    /// </summary>
    /// <exception cref="IOException">The process has no right to write there, and the message says how to give it that right; or the folder
    /// is missing and cannot be made.</exception>
    public static void Require(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            var probe = Path.Combine(folder, $".writable-{Environment.ProcessId}");
            using (File.Create(probe, 1, FileOptions.DeleteOnClose))
            {
            }
        }
        catch (UnauthorizedAccessException)
        {
            var user = RootPrivileges.User?.ToString(CultureInfo.InvariantCulture) ?? Environment.UserName;
            throw new IOException($"user {user} may not write to the storage folder {folder}; run: chown -R {user} {folder}");
        }
        // Full, or read-only: readiness says so.
        catch (IOException) when (Directory.Exists(folder))
        {
        }
        catch (IOException failure)
        {
            throw new IOException($"the storage folder {folder} is not there and cannot be made: {failure.Message}", failure);
        }
    }
}
