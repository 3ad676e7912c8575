using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Resilience;

/// <summary>A kind of system calls that can fail.</summary>
internal enum DiskCall
{
    /// <summary>fsync, fdatasync</summary>
    Flush,

    /// <summary>pwrite</summary>
    Write,

    /// <summary>rename, link</summary>
    Name,

    /// <summary>rmdir</summary>
    RemoveFolder,

    /// <summary>pread; only with <see cref="DiskFaults.AreReadsAsked"/></summary>
    Read,
}

/// <summary>
/// Lets chosen system calls of a program fail, counted over all its threads: the kernel asks this class about each of them
/// (seccomp_unotify(2)). A file whose flush has failed is as after a real failure: a second flush succeeds, and writes nothing.
/// </summary>
internal sealed partial class DiskFaults(string folder) : IDisposable
{
    private const ulong Receive = 0xC0502100, Send = 0xC0182101;
    private const uint Continue = 1;

    private static readonly bool IsArm = RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64;

    // The number of each call, its kind, and which argument is a path; -1 where the first one is an open file.
    private static readonly Dictionary<int, (string Name, DiskCall Kind, int Path)> Calls = IsArm
        ? new()
        {
            [82] = ("fsync", DiskCall.Flush, -1),
            [83] = ("fdatasync", DiskCall.Flush, -1),
            [68] = ("pwrite", DiskCall.Write, -1),
            [38] = ("rename", DiskCall.Name, 1),
            [276] = ("rename", DiskCall.Name, 1),
            [37] = ("link", DiskCall.Name, 1),
            [35] = ("rmdir", DiskCall.RemoveFolder, 1),
            [67] = ("pread", DiskCall.Read, -1),
        }
        : new()
        {
            [74] = ("fsync", DiskCall.Flush, -1),
            [75] = ("fdatasync", DiskCall.Flush, -1),
            [18] = ("pwrite", DiskCall.Write, -1),
            [82] = ("rename", DiskCall.Name, 0),
            [264] = ("rename", DiskCall.Name, 1),
            [316] = ("rename", DiskCall.Name, 1),
            [86] = ("link", DiskCall.Name, 0),
            [265] = ("link", DiskCall.Name, 1),
            [84] = ("rmdir", DiskCall.RemoveFolder, 0),
            [17] = ("pread", DiskCall.Read, -1),
        };

    // Installs a filter that asks about these calls, leaves its listener open for Attach, and becomes the program.
    private const string Launcher = """
        my ($prctl, $seccomp, @calls) = split /,/, shift;
        syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "prctl: $!";
        my $filter = pack("SCCL", 0x20, 0, 0, 0);
        $filter .= pack("SCCL", 0x15, @calls - $_, 0, $calls[$_]) for 0..$#calls;
        $filter .= pack("SCCL", 6, 0, 0, 0x7fff0000) . pack("SCCL", 6, 0, 0, 0x7fc00000);
        my $program = pack("Sx6P", length($filter) / 8, $filter);
        my $listener = syscall($seccomp, 1, 8, $program);
        $listener >= 0 or die "seccomp: $!";
        open(my $file, "+<&=", $listener) or die "open: $!";
        fcntl($file, 2, 0) or die "fcntl: $!";
        exec @ARGV or die "exec: $!";
        """;

    private readonly Lock _gate = new();
    private readonly Dictionary<long, SafeFileHandle> _lost = [];
    private SafeFileHandle? _listener;
    private Thread? _thread;
    private bool _stopped;
    private DiskCall? _kind;
    private Random? _random;
    private double _share;
    private int _at;
    private int _error;
    private int _seen;
    private string? _failed;

    /// <summary>Whether programs can be run like this here.</summary>
    public static Availability Availability { get; } = Probe();

    /// <summary>
    /// Is called before each call that could fail, with its path. The program waits meanwhile, so a test can let something happen between
    /// two calls.
    /// </summary>
    public Action<DiskCall, string>? Before { get; set; }

    /// <summary>The first call that has failed since <see cref="Fail"/>, with its path; null where none has.</summary>
    public string? Failed
    {
        get { lock (_gate) return _failed; }
    }

    /// <summary>Whether reads can fail too. A program that reads much is slow then.</summary>
    public bool AreReadsAsked { get; init; }

    /// <summary>The command line that runs a program so.</summary>
    public IEnumerable<string> CommandOf(IEnumerable<string> command) => Of(command, AreReadsAsked);

    private static IEnumerable<string> Of(IEnumerable<string> command, bool withReads) =>
    [
        "perl", "-e", Launcher,
        string.Join(',',
        [
            IsArm ? "167,277" : "157,317",
            .. Calls.Where(call => withReads || call.Value.Kind != DiskCall.Read).Select(call => $"{call.Key}"),
        ]),
        .. command,
    ];

    /// <summary>From now on the calls of one kind below the folder fail: all of them, or one of them.</summary>
    /// <param name="at">Which one, from 1 on; 0 is all.</param>
    /// <param name="error">Its errno.</param>
    public void Fail(DiskCall kind, int at, int error)
    {
        lock (_gate)
        {
            (_kind, _at, _error, _seen, _failed) = (kind, at, error, 0, null);
            foreach (var file in _lost.Values)
                file.Dispose();
            _lost.Clear();
        }
    }

    /// <summary>From now on a share of the calls below the folder fails, of every kind.</summary>
    public void FailSome(Random random, double share, int error)
    {
        lock (_gate)
            (_random, _share, _error) = (random, share, error);
    }

    /// <summary>No further call fails. What was lost stays lost.</summary>
    public void Stop()
    {
        lock (_gate)
            (_kind, _random) = (null, null);
    }

    /// <summary>
    /// Begins to decide about the calls of a program that was started with <see cref="CommandOf"/>; until then it stands still.
    /// </summary>
    public async Task AttachAsync(int pid)
    {
        var number = -1;
        await Until.TrueAsync(
            () =>
            {
                // Between the filter and the program itself the listener is open too, but is closed if the program cannot be run.
                number = Directory.EnumerateFiles($"/proc/{pid}/fd")
                    .Where(file => new FileInfo(file).LinkTarget?.Contains("seccomp notify", StringComparison.Ordinal) == true)
                    .Select(file => int.Parse(Path.GetFileName(file), CultureInfo.InvariantCulture)).DefaultIfEmpty(-1).First();
                return number >= 0;
            },
            () => "The program has no filter.");
        const int pidfdOpen = 434, pidfdGetFd = 438;
        using var process = new SafeFileHandle((nint)Checked(SystemCall(pidfdOpen, pid, 0, 0)), ownsHandle: true);
        _listener = new SafeFileHandle((nint)Checked(SystemCall(pidfdGetFd, process.DangerousGetHandle(), number, 0)), ownsHandle: true);
        _thread = new Thread(Decide) { IsBackground = true };
        _thread.Start();
    }

    public void Dispose()
    {
        Volatile.Write(ref _stopped, true);
        _thread?.Join();
        _listener?.Dispose();
        foreach (var file in _lost.Values)
            file.Dispose();
    }

    private static Availability Probe()
    {
        if (!OperatingSystem.IsLinux() || Availability.Of("perl") is { IsAvailable: false })
            return new Availability("system calls can be made to fail on Linux with perl only");
        try
        {
            // Its own reads would wait for an answer.
            var arguments = Of(["/bin/true"], withReads: false).Skip(1);
            using var process = System.Diagnostics.Process.Start(
                new System.Diagnostics.ProcessStartInfo("perl", arguments) { RedirectStandardError = true })!;
            var said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? default : new Availability($"system calls cannot be made to fail here: {said}");
        }
        catch (Win32Exception failure)
        {
            return new Availability($"system calls cannot be made to fail here: {failure.Message}");
        }
    }

    private unsafe void Decide()
    {
        while (!Volatile.Read(ref _stopped))
        {
            var poll = new PollRequest { File = (int)_listener!.DangerousGetHandle(), Events = 1 };
            if (Poll(&poll, 1, 100) <= 0 || (poll.Returned & 1) == 0)
            {
                // All that use the filter have ended.
                if ((poll.Returned & 0x10) != 0)
                    return;
                continue;
            }
            var call = default(Notification);
            if (IoControl(_listener, Receive, &call) != 0)
                continue;
            var answer = new Answer { Id = call.Id, Flags = Continue };
            if (Outcome(call) is { } error)
                answer = new Answer { Id = call.Id, Error = -error };
            // It fails where the caller has ended meanwhile.
            _ = IoControl(_listener, Send, &answer);
        }
    }

    // Null where the call is to be made; else its errno, or 0 for a success that does nothing.
    private int? Outcome(in Notification call)
    {
        // unlinkat(2)
        const ulong removeFolder = 0x200;
        var (name, kind, pathArgument) = Calls[call.Number];
        if (IsArm && kind == DiskCall.RemoveFolder && (call.Argument2 & removeFolder) == 0)
            return null;
        try
        {
            var file = $"/proc/{call.Process}/fd/{call.Argument0}";
            var path = pathArgument < 0
                ? new FileInfo(file).LinkTarget
                : Text(call.Process, pathArgument == 0 ? call.Argument0 : call.Argument1);
            if (path is null || !path.StartsWith(folder, StringComparison.Ordinal))
                return null;
            Before?.Invoke(kind, path);
            lock (_gate)
            {
                var isFile = kind == DiskCall.Flush && !Directory.Exists(path);
                if (isFile && _lost.ContainsKey(Inode(call)))
                    return 0;
                if (_random is not null ? _random.NextDouble() >= _share : kind != _kind || ++_seen != _at && _at != 0)
                    return null;
                _failed ??= $"{name} {path}";
                // Kept open, so that no other file gets its number. The framework would ask for a lock, which the program has.
                if (isFile)
                    _lost[Inode(call)] = new SafeFileHandle((nint)Checked(Open(file, 0)), ownsHandle: true);
                return _error;
            }
        }
        catch (IOException)
        {
            // The caller has ended.
            return null;
        }
    }

    private static long Inode(in Notification call)
    {
        const string key = "ino:";
        var lines = File.ReadLines($"/proc/{call.Process}/fdinfo/{call.Argument0}");
        return long.Parse(lines.First(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..], CultureInfo.InvariantCulture);
    }

    private static string Text(uint process, ulong address)
    {
        using var memory = new FileStream($"/proc/{process}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1);
        memory.Position = (long)address;
        List<byte> bytes = [];
        while (memory.ReadByte() is > 0 and var read)
            bytes.Add((byte)read);
        return Encoding.UTF8.GetString([.. bytes]);
    }

    private static long Checked(long result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long first, long second, long third);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static unsafe partial int IoControl(SafeFileHandle file, ulong request, void* argument);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static unsafe partial int Poll(PollRequest* requests, ulong count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollRequest
    {
        public int File;
        public short Events;
        public short Returned;
    }

    // struct seccomp_notif
    [StructLayout(LayoutKind.Sequential)]
    private struct Notification
    {
        public ulong Id;
        public uint Process;
        public uint Flags;
        public int Number;
        public uint Architecture;
        public ulong Instruction;
        public ulong Argument0, Argument1, Argument2, Argument3, Argument4, Argument5;
    }

    // struct seccomp_notif_resp
    [StructLayout(LayoutKind.Sequential)]
    private struct Answer
    {
        public ulong Id;
        public long Value;
        public int Error;
        public uint Flags;
    }
}
