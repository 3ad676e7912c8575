using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>
/// The date of the machine, as a process sees it that was started with <see cref="Environment"/>, while it runs. Its monotonic clock stays
/// right, as on a machine whose date is set.
/// </summary>
internal sealed class ShiftedClock : IDisposable
{
    private const string Library = "libfaketime.so.1";

    private readonly TempFolder _folder = new();
    private readonly string _library;

    public ShiftedClock()
    {
        // Debian keeps it below a folder for the architecture.
        _library = Directory.EnumerateDirectories("/usr/lib")
            .Select(folder => Path.Combine(folder, "faketime", Library)).FirstOrDefault(File.Exists) ?? "";
        if (_library.Length == 0)
            Assert.Skip("faketime is not installed (tests/run.sh installs it with apt-get)");
        Set(0);
    }

    /// <summary>For the process.</summary>
    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["LD_PRELOAD"] = _library,
        ["FAKETIME_TIMESTAMP_FILE"] = _folder["clock"],
        ["FAKETIME_NO_CACHE"] = "1",
        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        ["DONT_FAKE_MONOTONIC"] = "1",
        ["NO_FAKE_STAT"] = "1",
    };

    /// <summary>Sets the date to so many days from the right one.</summary>
    public void Set(int days)
    {
        var text = _folder.Write("new", $"{days:+0;-0;+0}d\n");
        File.Move(text, _folder["clock"], overwrite: true);
    }

    public void Dispose() => _folder.Dispose();
}
