namespace Mirror.Configuration.Reading;

/// <summary>Checks <c>http.tls.letsencrypt</c> against the keys around it.</summary>
internal static class LetsEncryptRules
{
    private const string Section = "http.tls.letsencrypt";

    public static void Check(HttpOptions http, Findings findings)
    {
        var options = http.Tls.LetsEncrypt;
        // A mistaken value has its default, and a second line about it could be wrong.
        if (!findings.Errors.Exists(error => error.StartsWith(Section, StringComparison.Ordinal)) && Mistake(http, options) is { } mistake)
            findings.Errors.Add($"{Section}{mistake}");
        if (options.Http01 is { } http01 && ListenAddress.Parse(http01).Port is var port and not 0
            && (http.Net is ListenNetwork.Tcp && ListenAddress.TryParse(http.Addr, out var main) && port == main.Port
                || http.Debug.Addr is { } debug && port == ListenAddress.Parse(debug).Port))
            findings.Errors.Add($"{Section}.http01: \"{http01}\" is not allowed: its port must differ from those of http.addr and "
                + "http.debug.addr");
    }

    private static string? Mistake(HttpOptions http, LetsEncryptOptions options) =>
        options.Hosts.FirstOrDefault(host => !host.Contains('.', StringComparison.Ordinal)) is { } local
            ? $".hosts: \"{local}\" is not allowed: authorities give certificates only for names with a dot, such as registry.example.org"
        : options.IsUsed && http.Tls.Certificate is not null
            ? ": not allowed together with http.tls.certificate: the server has one certificate for a name"
        : options.IsUsed && options.Hosts is []
            ? ".hosts: missing; the names that clients know this server by. Only these get a certificate"
        : !options.IsUsed && (options.Hosts is not [] || options.Email is not null || options.Http01 is not null)
            ? ".cachefile: missing; a folder for the certificates and keys is required, and without it this server would speak plain HTTP"
        : null;
}
