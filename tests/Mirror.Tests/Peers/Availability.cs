using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>Whether a real program can be run here, and if not, why not.</summary>
public readonly record struct Availability(string? Missing)
{
    public bool IsAvailable => Missing is null;

    /// <summary>Skips the running test, saying why, where the program cannot be run.</summary>
    public void OrSkip()
    {
        if (Missing is not null)
            Assert.Skip(Missing);
    }

    /// <summary>Programs that must be on the machine.</summary>
    internal static Availability Of(params string[] programs) =>
        programs.FirstOrDefault(p => Find(p) is null) is { } missing
            ? new Availability($"{missing} is not installed (tests/run.sh installs it with apt-get)")
            : default;

    /// <summary>As <see cref="Of"/>, for programs that mount file systems.</summary>
    internal static Availability OfRoot(params string[] programs) =>
        Environment.IsPrivilegedProcess ? Of(programs) : new Availability($"{programs[0]} needs root");

    /// <summary>Where the program is. Debian keeps daemons out of a plain user's PATH, so their folders are looked into as well.</summary>
    internal static string? Find(string program) =>
        $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/usr/local/sbin:/sbin"
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);
}
