"""Names as people write them."""

NETWORKS = {"resnet18": "ResNet-18", "resnet50": "ResNet-50", "vgg16": "VGG-16", "mobilenet_v2": "MobileNetV2", "densenet121": "DenseNet-121",
            "squeezenet1_1": "SqueezeNet 1.1", "tiny": "tiny network"}


def title(network):
    return NETWORKS.get(network, network)
