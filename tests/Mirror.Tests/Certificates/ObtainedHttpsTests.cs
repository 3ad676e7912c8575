using System.Net.Security;
using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Hosting;
using Xunit;

namespace Mirror.Tests.Certificates;

public sealed class ObtainedHttpsTests
{
    [Fact]
    public void Connections_with_an_obtained_certificate_have_all_other_options_of_http_tls()
    {
        var common = new SslServerAuthenticationOptions();
        PropertyInfo[] properties =
        [
            .. typeof(SslServerAuthenticationOptions).GetProperties()
                .Where(property => !property.Name.StartsWith("ServerCertificate", StringComparison.Ordinal)),
        ];
        foreach (var property in properties)
            property.SetValue(common, Another(property.PropertyType, property.GetValue(common)));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var own = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var certificate = SslStreamCertificateContext.Create(own, null, offline: true);

        var options = ObtainedHttps.With(common, certificate);

        Assert.Same(certificate, options.ServerCertificateContext);
        Assert.All(properties, property => Assert.Equal(property.GetValue(common), property.GetValue(options)));
    }

    // A value that is not the default.
    private static object Another(Type type, object? value) =>
        value is bool isSo ? !isSo
        : type.IsEnum ? Enum.GetValues(type).Cast<object>().First(other => !other.Equals(value))
        : type == typeof(CipherSuitesPolicy) && OperatingSystem.IsLinux() ? new CipherSuitesPolicy([TlsCipherSuite.TLS_AES_128_GCM_SHA256])
        : type == typeof(RemoteCertificateValidationCallback) ? new RemoteCertificateValidationCallback((_, _, _, _) => false)
        : Activator.CreateInstance(type)!;
}
