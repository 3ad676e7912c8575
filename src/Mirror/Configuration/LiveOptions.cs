namespace Mirror.Configuration;

/// <summary>
/// The settings in force, for those settings that may change while the server runs. Code that reads one of them asks
/// <see cref="Current"/> each time, or again after <see cref="Changed"/>, and keeps no copy. So far these are the log level, and the cache
/// settings of section <c>proxy</c> (CachePolicies). Nothing calls <see cref="Replace"/> yet: a reload of the configuration file would.
/// Before it may do so, these settings must be asked here too:
/// <list type="bullet">
/// <item>users: <c>auth.htpasswd</c>. A changed file is read again today, but another path is not noticed;</item>
/// <item>accounts at upstream registries: <c>username</c>, <c>password</c>, <c>credentials</c> and <c>exec</c>;</item>
/// <item>certificates and keys: <c>http.tls</c> and <c>proxy.tls</c>. Their files are read once, at start.</item>
/// </list>
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
