namespace Mirror.Configuration;

/// <summary>
/// The settings in force, for those settings that may change while the server runs. Code that reads one of them asks
/// <see cref="Current"/> each time, or again after <see cref="Changed"/>, and keeps no copy. These are the log level, the cache
/// settings of section <c>proxy</c> (CachePolicies), the users (<c>auth.htpasswd</c>), and the certificates and keys of <c>http.tls</c>.
/// SIGHUP puts the same settings in force again, so that the files that they name are read again. A reload of the configuration file would
/// put others in force. Before it may do so, the accounts at upstream registries must be asked here too (<c>username</c>, <c>password</c>,
/// <c>credentials</c>, <c>exec</c>), and <c>proxy.tls</c>, whose files are read again when they change, but not under another path.
/// </summary>
public sealed class LiveOptions(MirrorOptions options)
{
    private MirrorOptions _current = options;

    /// <summary>Raised after <see cref="Current"/> was replaced, on the thread that replaced it.</summary>
    public event Action? Changed;

    /// <summary>The settings in force now.</summary>
    public MirrorOptions Current => Volatile.Read(ref _current);

    /// <summary>Puts other settings in force. They must have passed the checks of <see cref="MirrorConfiguration"/>.</summary>
    public void Replace(MirrorOptions options)
    {
        Volatile.Write(ref _current, options);
        Changed?.Invoke();
    }
}
