using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mirror.Configuration;
using Mirror.Tls;

namespace Mirror.Upstream;

/// <summary>
/// The certificate authorities that are trusted for one upstream, and the client certificate for it. Renewed files are used for connections
/// that are made after the change.
/// </summary>
internal sealed partial class UpstreamTls
{
    private readonly UpstreamTlsOptions _options;
    private readonly RenewedFiles<Tuple<PrivateAuthorities, X509Certificate2?>> _files;

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A file does not contain a certificate or its key.</exception>
    public UpstreamTls(UpstreamTlsOptions options)
    {
        _options = options;
        string[] cas = options.Ca is { } ca ? [ca] : [];
        _files = new(
            () => new[] { options.Certificate, options.Key }.OfType<string>().Concat(cas),
            () => Tuple.Create(
                new PrivateAuthorities(cas),
                options.Certificate is { } certificate ? KeyPair.Read(certificate, options.Key) : null),
            TimeProvider.System);
    }

    /// <summary>Says in a log when files have changed.</summary>
    public void ReportTo(ILogger<UpstreamTls> log) => _files.Report = why =>
    {
        var names = string.Join(", ", new[] { _options.Certificate, _options.Key, _options.Ca }.OfType<string>());
        if (why is null)
            LogRenewed(log, names);
        else
            LogUnusable(log, names, why);
    };

    public SslClientAuthenticationOptions Options()
    {
        var options = new SslClientAuthenticationOptions();
        if (_options.Certificate is not null)
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => _files.Current.Item2!;
        if (_options.Ca is not null)
            options.RemoteCertificateValidationCallback = IsTrusted;
        return options;
    }

    // The machine's own authorities are trusted as well as the configured ones.
    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors) =>
        errors == SslPolicyErrors.None || _files.Current.Item1.WhyNotTrusted(certificate, sent, errors) is not { } why || Refuse(why);

    // With false, .NET would only say that the certificate was rejected.
    private static bool Refuse(string why) => throw new AuthenticationException(why);

    [LoggerMessage(Level = LogLevel.Information, Message = "the files of an upstream's tls have changed: new connections use {Files}")]
    private static partial void LogRenewed(ILogger log, string files);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the files of an upstream's tls have changed, and cannot be used ({Reason}): {Files}. What was read before stays")]
    private static partial void LogUnusable(ILogger log, string files, string reason);
}
