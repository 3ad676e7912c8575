using System.Net.Security;
using Mirror.Storage;

namespace Mirror.Tls.Acme;

/// <summary>
/// The certificates of <c>http.tls.letsencrypt</c>: those in the folder at once, and others as soon as the authority has issued them. Each
/// host has one attempt at a time, and pauses after a failure: a minute, twice as long after each further one, up to an hour. Meanwhile its
/// certificate stays, even past its end.
/// </summary>
public sealed partial class ObtainedCertificates : BackgroundService
{
    // The handshake as a whole has ten seconds.
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMinutes(1), LongestPause = TimeSpan.FromHours(1);
    // For a clock that jumps.
    private static readonly TimeSpan LongestSleep = TimeSpan.FromHours(1);
    private static readonly TimeSpan MaxRetryAfter = TimeSpan.FromDays(1);
    private static readonly TimeSpan LineEvery = TimeSpan.FromHours(1);
    // An authority counts orders, and its checks come back to this server.
    private const int MaxAttempts = 4;

    private readonly Dictionary<string, Host> _hosts = new(StringComparer.OrdinalIgnoreCase);
    private readonly SemaphoreSlim _attempts = new(MaxAttempts);
    private readonly AcmeSession _session;
    private readonly Issuance _issuance;
    private readonly CertificateFolder _folder;
    private readonly Uri _directory;
    private readonly TimeProvider _time;
    private readonly ILogger _log;

    /// <param name="http">For the requests to the authority; it limits the time and the length of each answer.</param>
    /// <param name="directory">The address of the authority's directory.</param>
    /// <param name="hosts">The names, in ASCII.</param>
    /// <param name="email">Where the authority may write to; null for nowhere.</param>
    /// <param name="byFile">Whether hosts are proved by HTTP-01; else by TLS-ALPN-01.</param>
    public ObtainedCertificates(
        HttpClient http, Uri directory, IEnumerable<string> hosts, string? email, bool byFile, CertificateFolder folder,
        Challenges challenges, TimeProvider time, ILogger<ObtainedCertificates> log)
    {
        (_folder, _directory, _time, _log) = (folder, directory, time, log);
        _session = new AcmeSession(http, directory, email, folder.Account, time)
        {
            Registered = terms => LogAccount(directory, terms ?? "none"),
        };
        _issuance = new Issuance(_session, folder, challenges, byFile, time);
        foreach (var host in hosts)
            _hosts[host] = new Host(host) { Current = folder.Certificate(host, LogUnusable) };
    }

    /// <summary>When the certificate of each host ends; hosts without one are left out.</summary>
    public IEnumerable<(string Host, DateTimeOffset End)> Ends =>
        from host in _hosts.Values
        let current = host.Current
        where current is not null
        select (host.Name, current.Until);

    /// <summary>Whether this server obtains certificates for a name.</summary>
    public bool Has(string host) => _hosts.ContainsKey(host);

    /// <summary>The certificate for a handshake. If there is none, or only one that has ended, waits some seconds for the first
    /// attempt.</summary>
    /// <returns>Null: there is none.</returns>
    public ValueTask<SslStreamCertificateContext?> FindAsync(string host, CancellationToken cancellationToken)
    {
        if (!_hosts.TryGetValue(host, out var known))
            return new((SslStreamCertificateContext?)null);
        return known.Current is { } current && current.Until > _time.GetUtcNow() || known.FirstAttempt.IsCompleted
            ? new(known.Current?.Context)
            : WaitAsync(known, cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        _session.Dispose();
        _attempts.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(_hosts.Values.Select(host => KeepAsync(host, stoppingToken)));

    private async ValueTask<SslStreamCertificateContext?> WaitAsync(Host host, CancellationToken cancellationToken)
    {
        await Task.WhenAny(host.FirstAttempt, Task.Delay(MaxWait, _time, cancellationToken));
        return host.Current?.Context;
    }

    /// <summary>Obtains the certificate of a host, and renews it, until the server stops.</summary>
    private async Task KeepAsync(Host host, CancellationToken stopping)
    {
        var earliest = _time.GetUtcNow();
        while (true)
        {
            await UntilDueAsync(host, earliest, stopping);
            // Another server may have the same folder.
            if (_folder.Certificate(host.Name) is { } stored && stored.Until > (host.Current?.Until ?? default))
                host.Current = stored;
            else
                earliest = _time.GetUtcNow() + await TryAsync(host, stopping);
        }
    }

    private async Task UntilDueAsync(Host host, DateTimeOffset earliest, CancellationToken stopping)
    {
        while (true)
        {
            var due = host.Current?.RenewAt is { } renewAt && renewAt > earliest ? renewAt : earliest;
            var left = due - _time.GetUtcNow();
            if (left <= TimeSpan.Zero)
                return;
            await Task.Delay(left < LongestSleep ? left : LongestSleep, _time, stopping);
        }
    }

    /// <summary>One attempt; returns how long the next one has to wait.</summary>
    private async Task<TimeSpan> TryAsync(Host host, CancellationToken stopping)
    {
        await _attempts.WaitAsync(stopping);
        try
        {
            var obtained = await _issuance.ObtainAsync(host.Name, stopping);
            host.Current = obtained;
            if (obtained.RenewAt <= _time.GetUtcNow() || obtained.From > _time.GetUtcNow().AddDays(1))
                throw new AcmeException($"the certificate is valid from {obtained.From:u} to {obtained.Until:u}, which does not fit this "
                    + "machine's clock");
            (host.Failures, host.LastLine) = (0, null);
            LogObtained(host.Name, obtained.Until, obtained.RenewAt);
            return TimeSpan.Zero;
        }
        // Also what the authority's answers should never cause: the registry goes on without a new certificate.
        catch (Exception failure) when (!stopping.IsCancellationRequested)
        {
            var pause = FirstPause * Math.Pow(2, Math.Min(host.Failures++, 10));
            pause = pause < LongestPause ? pause : LongestPause;
            if (failure is AcmeException { RetryAfter: { } asked } && asked > pause)
                pause = asked < MaxRetryAfter ? asked : MaxRetryAfter;
            Complain(host, failure, pause);
            return pause;
        }
        finally
        {
            host.EndAttempt();
            _attempts.Release();
        }
    }

    private void Complain(Host host, Exception failure, TimeSpan pause)
    {
        if (host.LastLine is { } last && _time.GetElapsedTime(last) < LineEvery)
            return;
        host.LastLine = _time.GetTimestamp();
        var advice = Advice.For(failure, _directory.Host, _folder.Folder);
        if (host.Current is { } current)
            LogKept(host.Name, current.Until, failure.Reason, advice, pause.TotalMinutes);
        else
            LogNone(host.Name, failure.Reason, advice, pause.TotalMinutes);
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{Host} has a new certificate, which ends at {Until:u}; it is renewed from {RenewAt:u} on")]
    private partial void LogObtained(string host, DateTimeOffset until, DateTimeOffset renewAt);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "certificates come from {Directory}; this server has an account there, and agrees to its terms of service: {Terms}")]
    private partial void LogAccount(Uri directory, string terms);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "no certificate could be obtained for {Host}, and clients that ask for this name are refused: {Reason}. {Advice}. The next attempt "
        + "is in {Minutes} min")]
    private partial void LogNone(string host, string reason, string advice, double minutes);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the certificate of {Host} could not be renewed: {Reason}. {Advice}. The certificate that ends at {Until:u} stays; the next "
        + "attempt is in {Minutes} min")]
    private partial void LogKept(string host, DateTimeOffset until, string reason, string advice, double minutes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{File} cannot be used as a certificate ({Reason}); another one is obtained")]
    private partial void LogUnusable(string file, string reason);

    private sealed class Host(string name)
    {
        private readonly TaskCompletionSource _attempt = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private HostCertificate? _current;

        public string Name => name;

        public HostCertificate? Current
        {
            get => Volatile.Read(ref _current);
            set => Volatile.Write(ref _current, value);
        }

        /// <summary>Ends with the first attempt. After that no handshake waits.</summary>
        public Task FirstAttempt => _attempt.Task;

        public int Failures { get; set; }

        public long? LastLine { get; set; }

        public void EndAttempt() => _attempt.TrySetResult();
    }
}
