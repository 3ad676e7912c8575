namespace Mirror.Upstream;

/// <summary>Says why the command of a credential helper cannot be run.</summary>
internal static class HelperCommand
{
    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>What is wrong with the command, as the end of a sentence; null if it can be found and may be executed.</summary>
    /// <param name="command">A path, or a name that is searched for in the folders of <c>PATH</c>.</param>
    public static string? WhyNot(string command)
    {
        if (command.Contains('/', StringComparison.Ordinal))
            return !File.Exists(command) ? "does not exist"
                : !IsExecutable(command) ? "is not executable; allow it with chmod +x"
                : null;
        // The framework looks into the first two before PATH.
        string?[] folders =
        [
            Path.GetDirectoryName(Environment.ProcessPath), Environment.CurrentDirectory,
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries),
        ];
        return Array.Exists(folders, folder => folder is not null && IsExecutable(Path.Combine(folder, command))) ? null
            : "is in no folder of PATH, or is not executable; write its whole path";
    }

    private static bool IsExecutable(string path)
    {
        try
        {
            return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & AnyExecute) != 0);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
