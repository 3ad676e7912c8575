using System.Runtime.InteropServices;

namespace Mirror.Hosting;

/// <summary>
/// The signal SIGHUP. It comes from a terminal that closes, or from a program that rotates files and tells every server. It must not end
/// this one, also not while it starts. Until the server can act on it, the process remembers that it came.
/// </summary>
internal static class SighupSignal
{
    private static readonly Lock Gate = new();
    private static PosixSignalRegistration? _caught;
    private static Action? _act;
    private static bool _isDue;

    /// <summary>From now on the signal does not end the process.</summary>
    public static void Catch()
    {
        lock (Gate)
            _caught ??= PosixSignalRegistration.Create(PosixSignal.SIGHUP, Came);
    }

    /// <summary>Acts on each signal, and on one that came before.</summary>
    public static void Act(Action act)
    {
        Catch();
        lock (Gate)
        {
            _act = act;
            if (!_isDue)
                return;
            _isDue = false;
        }
        act();
    }

    private static void Came(PosixSignalContext signal)
    {
        signal.Cancel = true;
        Action? act;
        lock (Gate)
        {
            act = _act;
            _isDue = act is null;
        }
        act?.Invoke();
    }
}
