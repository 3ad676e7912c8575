namespace Mirror.Configuration;

/// <summary>
/// The settings in force, for those settings that may change while the server runs: policies, users, accounts, certificates and the log level.
/// Code that reads one of them asks here each time, or when <see cref="Changed"/> is raised, and keeps no copy.
/// </summary>
public sealed class LiveOptions(MirrorOptions options)
{
    private MirrorOptions _current = options;

    /// <summary>The settings in force now.</summary>
    public MirrorOptions Current => Volatile.Read(ref _current);

    /// <summary>Raised after <see cref="Current"/> was replaced, on the thread that replaced it.</summary>
    public event Action? Changed;

    /// <summary>Puts other settings in force.</summary>
    public void Replace(MirrorOptions options)
    {
        Volatile.Write(ref _current, options);
        Changed?.Invoke();
    }
}
