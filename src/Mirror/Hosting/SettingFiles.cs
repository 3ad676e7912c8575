using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Redirects;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Tls;
using Mirror.Upstream;
using Mirror.Web;

namespace Mirror.Hosting;

/// <summary>
/// Looks into the files and at the volume that settings name, so that the start and <c>check-config</c> report what is wrong with each.
/// </summary>
public static class SettingFiles
{
    /// <summary>The mistakes that prevent a start, one line for each file.</summary>
    public static IEnumerable<string> Mistakes(MirrorOptions options)
    {
        if (options.Storage.Bucket() is null && options.Storage.Filesystem.RootDirectory is var root && WhyNoFolder(root) is { } other)
            yield return $"storage.filesystem.rootdirectory: {root} {other}";
        if (options.Auth.Htpasswd?.Path is { } users && !Directory.Exists(users) && FileMistake.Of(users) is { } mistake)
            yield return $"auth.htpasswd.path: {users} {mistake}";
        foreach (var (key, made) in WrittenFiles(options))
            if (Directory.Exists(made))
                yield return $"{key}: {made} is a folder, not a file; name a file in it";
            else if (Path.GetDirectoryName(Path.GetFullPath(made)) is { } folder && !Directory.Exists(folder))
                yield return $"{key}: the folder {folder} does not exist; make it, or name a file in another one";
        if (options.Storage.Gcs?.KeyFile is { } account && Directory.Exists(account))
            yield return $"storage.gcs.keyfile: {account} is a folder, not a file";
        if (options.Http.Listen.Socket is { } socket && !IsOfSocket(socket))
            yield return $"http.addr: the path {socket} is too long for a socket: Linux allows 107 bytes; name a shorter one";
        foreach (var (upstream, key) in options.Proxy.Upstreams.Select((entry, i) => (entry, $"proxy.upstreams.{i}"))
            .Prepend((options.Proxy, "proxy")))
            if (upstream is { RemoteUrl: not null, Exec.Command: { Length: > 0 } command } && HelperCommand.WhyNot(command) is { } unusable)
                yield return $"{key}.exec.command: {command} {unusable}";
        foreach (var (key, path, make) in Pems(options).Concat(Keys(options.Middleware)))
            if ((FileMistake.Of(path) ?? WhyNot(make)) is { } why)
                yield return $"{key}: {path} {why}";
    }

    private static IEnumerable<(string Key, string Path)> WrittenFiles(MirrorOptions options)
    {
        if (options.Log.Audit.Path is { Length: > 0 } audit)
            yield return ("log.audit.path", audit);
        if (options.Http.Listen.Socket is { } socket)
            yield return ("http.addr", socket);
    }

    // The framework takes a symbolic link that leads to no folder for a file.
    private static string? WhyNoFolder(string path) =>
        !File.Exists(path) ? null
        : new FileInfo(path).LinkTarget is { } target && FileMistake.Of(path) is not null
            ? $"is a symbolic link to {target}, and no folder can be opened there; make the folder, or change the link"
        : "is a file, not a folder";

    private static bool IsOfSocket(string path)
    {
        try
        {
            _ = new UnixDomainSocketEndPoint(path);
            return true;
        }
        catch (ArgumentOutOfRangeException)
        {
            return false;
        }
    }

    /// <summary>The warnings for the operator, one line each.</summary>
    public static IEnumerable<string> Warnings(MirrorOptions options)
    {
        if (UnusedMount.Warning(options.Storage, UnusedMount.Mounts()) is { } mount)
            yield return mount;
        if (UnreachableFloor(options) is { } floor)
            yield return floor;
        foreach (var warning in CertificatesOutOfTime(options))
            yield return warning;
        foreach (var warning in options.Auth.Htpasswd is { Path: var users }
            ? HtpasswdFile.Read(users).Warnings.Select(warning => $"auth.htpasswd.path: {users}: {warning}")
            : [])
            yield return warning;
    }

    // No error: its renewal may come while the server runs, and the server reads it then.
    private static IEnumerable<string> CertificatesOutOfTime(MirrorOptions options)
    {
        var tls = options.Http.Tls;
        // A file that cannot be read prevents the start, and has a line of its own.
        X509Certificate2? read = null;
        if (tls.Certificate is not { } file || FileMistake.Of(file) is not null
            || WhyNot(() => read = KeyPair.ReadCertificate(file)) is not null)
            yield break;
        using var certificate = read!;
        var (from, until, now) = (certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime(), DateTime.UtcNow);
        if (until < now)
            yield return $"http.tls.certificate: {file} expired on {until:yyyy-MM-dd HH:mm} UTC, so clients refuse it; renew it";
        else if (from > now)
            yield return $"http.tls.certificate: {file} is valid only from {from:yyyy-MM-dd HH:mm} UTC on, so clients refuse it; set the "
                + "clock of this machine, or wait";
    }

    // No error: the server of somebody whose volume was made smaller still starts.
    private static string? UnreachableFloor(MirrorOptions options)
    {
        if (options.Storage.Bucket() is not null || options.Proxy is not { HasUpstream: true, MinFree: { } floor })
            return null;
        var folder = options.Storage.Filesystem.RootDirectory;
        try
        {
            var volume = VolumeRoom.Of(Path.GetFullPath(folder));
            return volume.CanHaveFree(floor) ? null
                : $"proxy.min_free: {Words.Size(floor)} can never be free on the volume of {folder}, which has {Words.Size(volume.Size)} "
                    + "in all, so the server ignores this setting. Set a smaller number, such as a tenth of the volume: "
                    + $"min_free: {Math.Max(1, volume.Size / 10 >> 20)}MiB";
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return null;
        }
    }

    /// <summary>Every PEM file, with what the server makes of it.</summary>
    private static IEnumerable<(string Key, string Path, Action Make)> Pems(MirrorOptions options)
    {
        var http = options.Http.Tls;
        var pems = Pair("http.tls", http.Certificate, http.Key).Concat(Handshake(http))
            .Concat(Authorities("http.tls.clientcas", http.ClientCas));
        if (options.SharesByRedis())
            pems = pems.Concat(Pair("redis.tls", options.Redis.Tls.Certificate, options.Redis.Tls.Key))
                .Concat(Authorities("redis.tls.rootcas", options.Redis.Tls.RootCas));
        if (options.Auth.Token?.RootCertBundle is { } bundle)
            pems = pems.Concat(Authorities("auth.token.rootcertbundle", [bundle]));
        if (options.Auth.Token?.Jwks is { } jwks)
            pems = pems.Append(("auth.token.jwks", jwks, () => { }));
        if (options.Auth.PrivilegedKey is { } privileged)
            pems = pems.Append(("auth.privileged_key", privileged, () => { }));
        if (options.Compatibility.Schema1.SigningKeyFile is { } signing)
            pems = pems.Append(("compatibility.schema1.signingkeyfile", signing, () => SigningKey.Read(signing).Dispose()));
        pems = pems.Concat(Upstream("proxy.tls", options.Proxy.Tls));
        foreach (var (i, upstream) in options.Proxy.Upstreams.Index())
            pems = pems.Concat(Upstream($"proxy.upstreams.{i}.tls", upstream.Tls));
        return pems;

        static IEnumerable<(string, string, Action)> Upstream(string section, UpstreamTlsOptions tls) =>
            Pair(section, tls.Certificate, tls.Key).Concat(Authorities($"{section}.ca", tls.Ca is { } ca ? [ca] : []));
    }

    private static IEnumerable<(string Key, string Path, Action Make)> Keys(MiddlewareOptions middleware) =>
        from entry in middleware.Storage.Index()
        where !entry.Item.Disabled && entry.Item.Name == "cloudfront"
        let key = entry.Item.Options.PrivateKey
        // The text of a key is no path to show.
        where !CloudFrontSigner.IsPem(key)
        select ($"middleware.storage.{entry.Index}.options.privatekey", key, (Action)(() => _ = new CloudFrontSigner(key, "")));

    private static IEnumerable<(string, string, Action)> Pair(string section, string? certificate, string? key)
    {
        if (certificate is null)
            yield break;
        yield return ($"{section}.certificate", certificate, ReadCertificate);
        // With a certificate that cannot be read, its key cannot be judged.
        if (FileMistake.Of(certificate) is null && WhyNot(ReadCertificate) is null)
            yield return (key is null ? $"{section}.certificate" : $"{section}.key", key ?? certificate,
                () => KeyPair.Read(certificate, key).Dispose());

        void ReadCertificate() => KeyPair.ReadCertificate(certificate).Dispose();
    }

    private static IEnumerable<(string, string, Action)> Handshake(TlsOptions http)
    {
        // Files that cannot be read have their own lines.
        if (http.Certificate is { } certificate && Pair("http.tls", certificate, http.Key).All(
            file => FileMistake.Of(file.Item2) is null && WhyNot(file.Item3) is null))
            yield return ("http.tls.certificate", certificate, () => HttpsEndpoint.CertificateOf(http));
    }

    private static IEnumerable<(string, string, Action)> Authorities(string key, string[] files) =>
        files.Select(file => (key, file, (Action)(() => Import(file))));

    private static void Import(string file)
    {
        X509Certificate2Collection read = [];
        read.ImportFromPemFile(file);
        if (read.Count == 0)
            throw new CryptographicException("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    }

    private static string? WhyNot(Action make)
    {
        try
        {
            make();
            return null;
        }
        catch (Exception failure) when (failure.IsKeyFailure)
        {
            return failure.Message.StartsWith("holds", StringComparison.Ordinal)
                ? failure.Message
                : $"cannot be used: {failure.Message}";
        }
    }
}
