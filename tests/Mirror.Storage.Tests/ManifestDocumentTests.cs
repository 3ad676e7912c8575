using System.Text;
using System.Text.Json;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What a manifest says, to a push (strictly) and to all others (leniently).</summary>
public sealed class ManifestDocumentTests
{
    private static readonly Digest A = Digest.Of("a"u8);
    private static readonly Digest B = Digest.Of("b"u8);

    [Theory]
    [InlineData("""{"mediaType":"x/y","config":{}}""", "x/y")]
    [InlineData("""{"config":{}}""", MediaTypes.OciManifest)]
    [InlineData("""{"layers":[]}""", MediaTypes.OciManifest)]
    [InlineData("""{"config":{},"manifests":null}""", MediaTypes.OciIndex)]
    [InlineData("""{"fsLayers":[]}""", MediaTypes.DockerSignedSchema1)]
    [InlineData("""{"schemaVersion":2}""", null)]
    [InlineData("""{"mediaType":5,"config":{}}""", null)]
    public void The_type_is_the_one_given_or_else_the_one_that_the_shape_implies(string json, string? type) =>
        Assert.Equal(type, Read(json)!.Type);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("{\"config\":{}")]
    [InlineData("<html>")]
    public void Bytes_that_are_no_object_are_no_manifest(string text) => Assert.Null(Read(text));

    [Fact]
    public void A_lenient_reading_finds_every_digest_that_any_client_could_see()
    {
        var document = Read($$"""
            {"fsLayers":[{"blobSum":"{{A}}"}],"layers":{"digest":"{{B}}","size":-1},
             "config":[null,{"digest":"md5:x"},{"digest":"{{A}}","size":7}],
             "layers":[{"digest":"\ud800"},{"digest":"{{A}}","urls":5,"mediaType":[]}],"blobs":5,"subject":{"digest":"{{B}}"} }
            """)!;
        Assert.Equal(["fsLayers", "layers", "config", "layers", "subject"], document.Entries.Select(entry => entry.Field));
        Assert.Equal([A, B, A, A], document.Blobs.Select(entry => entry.Digest));
        Assert.Equal([null, null, 7L, null], document.Blobs.Select(entry => entry.Size));
        Assert.Equal(B, document.Subject);
    }

    [Theory]
    [InlineData("layers", "{}", "'layers' is not a list")]
    [InlineData("config", "[]", "'config' holds something that is not a descriptor")]
    [InlineData("config", """{"size":1}""", "'config' holds a descriptor without a digest of a known algorithm")]
    [InlineData("schemaVersion", "\"2\"", "'schemaVersion' is not a whole number")]
    [InlineData("mediaType", "2", "'mediaType' is not text")]
    public void A_strict_reading_refuses_what_a_lenient_one_passes_over(string member, string json, string problem)
    {
        var text = $$"""{"{{member}}":{{json}}}""";
        Assert.False(ManifestDocument.TryParse(Encoding.UTF8.GetBytes(text), out _, out var said));
        Assert.Equal(problem, said);
        Assert.Empty(Read(text)!.Entries);
    }

    [Fact]
    public void A_member_that_occurs_twice_counts_twice_in_a_push_too()
    {
        var layer = (Digest digest) => $$"""[{"digest":"{{digest}}","size":1}]""";
        Assert.True(ManifestDocument.TryParse(
            Encoding.UTF8.GetBytes($$"""{"layers":{{layer(A)}},"layers":{{layer(B)}}}"""), out var document, out _));
        Assert.Equal([A, B], document.Blobs.Select(blob => blob.Digest));
    }

    [Fact]
    public void The_descriptors_of_an_index_of_referrers_stay_byte_for_byte()
    {
        const string first = """{"digest": "x", "artifactType":"a/b"}""";
        var descriptors = ManifestDocument.DescriptorsIn(Encoding.UTF8.GetBytes($$"""{"manifests":[{{first}}, {}]}"""));
        Assert.Equal([first, "{}"], descriptors.Select(descriptor => Encoding.UTF8.GetString(descriptor.Span)));
        Assert.Equal(["a/b", null], descriptors.Select(ManifestDocument.ArtifactTypeOf));
        Assert.Empty(ManifestDocument.DescriptorsIn("""{"manifests":null}"""u8.ToArray()));
        Assert.Throws<JsonException>(() => ManifestDocument.DescriptorsIn("{}"u8.ToArray()));
    }

    private static ManifestDocument? Read(string json) => ManifestDocument.Read(Encoding.UTF8.GetBytes(json));
}
