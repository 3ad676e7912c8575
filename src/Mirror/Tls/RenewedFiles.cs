using System.Security.Cryptography;
using System.Text;

namespace Mirror.Tls;

/// <summary>
/// A value made from files, such as a certificate with its key. It is made again when the bytes of the files change. A caller that asks
/// for the value causes a look at the files, every 10 seconds at most. While the files cannot be used, for example because only the
/// certificate or only the key was written, the last value stays.
/// </summary>
public sealed class RenewedFiles<T> where T : class
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly Func<IEnumerable<string>> _files;
    private readonly Func<T> _make;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private T _current;
    private string _seen;
    private long _lookedAt;

    /// <param name="files">The paths of the files.</param>
    /// <param name="make">Reads the files. Its exceptions leave this constructor; later they are reported.</param>
    public RenewedFiles(Func<IEnumerable<string>> files, Func<T> make, TimeProvider time)
    {
        (_files, _make, _time) = (files, make, time);
        (_seen, _lookedAt) = (Fingerprint(), time.GetTimestamp());
        _current = make();
    }

    /// <summary>Called once for each change of the files, with the reason why they cannot be used, or with null if the value was made
    /// again.</summary>
    public Action<string?>? Report { get; set; }

    /// <summary>The value of the last files that could be used.</summary>
    public T Current
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _lookedAt)) >= Interval && _gate.TryEnter())
                try
                {
                    Look();
                }
                finally
                {
                    _gate.Exit();
                }
            return Volatile.Read(ref _current);
        }
    }

    /// <summary>Looks at the files now.</summary>
    public void Check()
    {
        lock (_gate)
            Look();
    }

    private void Look()
    {
        Volatile.Write(ref _lookedAt, _time.GetTimestamp());
        var now = Fingerprint();
        if (now == _seen)
            return;
        // Taken before the files are read: if they change meanwhile, the next look sees that.
        _seen = now;
        try
        {
            Volatile.Write(ref _current, _make());
            Report?.Invoke(null);
        }
        catch (Exception failure) when (IsOfFiles(failure))
        {
            Report?.Invoke(failure.Message);
        }
    }

    // By the bytes: Kubernetes replaces a link above the files, and their own times stay.
    private string Fingerprint()
    {
        var text = new StringBuilder();
        foreach (var file in _files())
            try
            {
                text.Append(file).Append(Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))));
            }
            catch (Exception failure) when (IsOfFiles(failure))
            {
                text.Append(failure.Message);
            }
        return text.ToString();
    }

    private static bool IsOfFiles(Exception failure) =>
        failure is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;
}
