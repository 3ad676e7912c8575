namespace Mirror.Tests.Parsing;

/// <summary>What several parsers have in their inputs.</summary>
internal static class ParserInputs
{
    public const string Hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    public const string Entry = "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" + Hex + "\",\"size\":1,\"platform\":{\"os\":\"linux\"}}";

    /// <summary>A private key of ECDSA on P-256, made for these tests only, as a JWK.</summary>
    public const string PrivateJwk = """
        {"kty":"EC","crv":"P-256","kid":"a",
        "x":"pzxOtRzvkdXFg57KSn9uBXPbota5PxHidt92A046QYE",
        "y":"8mmExQGUQEo7eDr-D7LM1RLGROEde0Z4XjC3r_wYUsU",
        "d":"SLStMNxWYH2N54_oQ9Gj-MRhTy_opX3kzaXYvQsYLwQ"}
        """;

    /// <summary>The same key in PEM.</summary>
    public const string PrivatePem = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIEi0rTDcVmB9jeeP6EPRo/jEYU8v6KV95M2l2L0LGC8EoAoGCCqGSM49
        AwEHoUQDQgAEpzxOtRzvkdXFg57KSn9uBXPbota5PxHidt92A046QYHyaYTFAZRA
        Sjt4Ov4PsszVEsZE4R17RnheMLev/BhSxQ==
        -----END EC PRIVATE KEY-----
        """;

    /// <summary>Its public part in PEM.</summary>
    public const string PublicPem = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpzxOtRzvkdXFg57KSn9uBXPbota5
        PxHidt92A046QYHyaYTFAZRASjt4Ov4PsszVEsZE4R17RnheMLev/BhSxQ==
        -----END PUBLIC KEY-----
        """;

    /// <summary>A public key of RSA in PEM.</summary>
    public const string RsaPem = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvCKb9OpVLxpB3m5QxqYI
        r3tdX65AHYx1dNxltCpOopVRmd7LJF4n7IVILgD8b823WTyV2kYq2yb1/D7ME9Vj
        oMHu5dqCg/CHG8SbDmEcji7zQZo3QAcaVP1fWgXUhGc11XRny7MzQb8qhId40amq
        e2GFEiQn3HR9CNhXUxFkcep2oOyj2gLOvTt7E83UkeJBEkXuT06K8VkwuCTDOTco
        jZp0ClAgFpTO7FFXoRi4pb8ADQ+wBcJ5QSO6vbeVkOhiRwE9SaGjYgy8col675g+
        Wi3gOo3/qiL3lQgzk63RRzBQkExXVhuB/pM/Redp7pt0n0ziycBFhERtoJ9ZoDss
        mwIDAQAB
        -----END PUBLIC KEY-----
        """;

    /// <summary>A certificate of the first key for <c>localhost</c>, in PEM.</summary>
    public const string Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBnjCCAUSgAwIBAgIUQsTRR0qsd2ztoAo/07wGhzCgt5QwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBYTAgFw0yNjExMjYxODE3MzFaGA8yMTI2MTEwMjE4MTczMVow
        DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKc8TrUc75HV
        xYOeykp/bgVz26LWuT8R4nbfdgNOOkGB8mmExQGUQEo7eDr+D7LM1RLGROEde0Z4
        XjC3r/wYUsWjgYEwfzAdBgNVHQ4EFgQUduQAgyzxCLjljN6BMOuKMP5R3yMwHwYD
        VR0jBBgwFoAUduQAgyzxCLjljN6BMOuKMP5R3yMwDwYDVR0TAQH/BAUwAwEB/zAs
        BgNVHREEJTAjgglsb2NhbGhvc3SBC2FAYi5leGFtcGxlhglodHRwczovL2EwCgYI
        KoZIzj0EAwIDSAAwRQIhAJ0teWbVjcx1QYV8yumgLOotnFbrGXVWdbMJn9fpngcG
        AiAKjGhDwZaEif0adsQftLDC660cw8bsfj6FRPcb6fSc5Q==
        -----END CERTIFICATE-----
        """;
}
