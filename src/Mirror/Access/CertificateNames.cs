using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Access;

/// <summary>The names in a client's certificate.</summary>
internal static class CertificateNames
{
    private const string CommonName = "2.5.4.3";

    /// <summary>The subject, its common name, and the alternative names: hosts, mail addresses, URIs (RFC 5280, 4.2.1.6).</summary>
    public static IReadOnlyList<string> Of(X509Certificate2 certificate)
    {
        List<string> names = [];
        if (certificate.Subject.Length > 0)
            names.Add(certificate.Subject);
        foreach (var part in certificate.SubjectName.EnumerateRelativeDistinguishedNames())
            if (!part.HasMultipleElements && part.GetSingleElementType().Value == CommonName && part.GetSingleElementValue() is { } name)
                names.Add(name);
        foreach (var alternatives in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
            AddAlternatives(names, alternatives.RawData);
        return names;
    }

    private static void AddAlternatives(List<string> names, byte[] extension)
    {
        const int mail = 1, host = 2, uri = 6;
        try
        {
            var sequence = new AsnReader(extension, AsnEncodingRules.DER).ReadSequence();
            while (sequence.HasData)
                if (sequence.PeekTag() is { TagClass: TagClass.ContextSpecific, TagValue: mail or host or uri } tag)
                    names.Add(sequence.ReadCharacterString(UniversalTagNumber.IA5String, tag));
                else
                    sequence.ReadEncodedValue();
        }
        catch (Exception malformed) when (malformed is AsnContentException or CryptographicException)
        {
            // Keep the names that were read so far: the authority signed them.
        }
    }
}
